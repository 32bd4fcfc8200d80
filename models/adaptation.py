"""What methods that adapt a labelled source domain to an unlabelled target domain have in common.

How far the domains lie apart, what is aligned of a head, and whether an adapted model has collapsed. No label of the
target domain is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from graft.models import linear
from graft.models.errors import GraftError
from graft.models.options import HeadOptions

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from graft.models.history import Finding
    from graft.models.task import Split, Task

MOST = 2000
"""Examples of each domain that the distance is measured on."""

_FEWEST = 20
"""Of fewer target examples no share of a class is told."""

_LEAST_SKILL = 0.1
"""Of what lies between chance and a perfect score, what a model must reach at least on the source's eval examples."""

_SLICE = 4096


class Mapped:
    """Feature vectors under an affine map, computed when they are asked for: (x - before) @ matrix + after.

    Args:
        features: float [n, d], an array or what reads like one.
        before: float [d].
        matrix: float [d, d], or [d] for one that is diagonal.
        after: float [d].
    """

    def __init__(self, features: Any, before: np.ndarray, matrix: np.ndarray, after: np.ndarray):
        self._features, self._before, self._matrix, self._after = features, before, matrix, after
        self.shape, self.ndim, self.dtype = tuple(features.shape), 2, np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Of a slice or of a list of rows, float32."""
        centred = np.asarray(self._features[rows], np.float64) - self._before
        mapped = centred * self._matrix if self._matrix.ndim == 1 else centred @ self._matrix
        return (mapped + self._after).astype(np.float32)


def moments(features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean [d] and covariance [d, d] (divided by n - 1) of feature vectors, float64, read in slices.

    Raises:
        GraftError: there are fewer than two, or one is no finite number.
    """
    count, width = features.shape
    if count < 2:
        raise GraftError(f"statistics of a domain need at least 2 examples; received {count}")
    parts = [slice(start, start + _SLICE) for start in range(0, count, _SLICE)]
    mean = sum((np.asarray(features[part], np.float64).sum(axis=0) for part in parts), np.zeros(width)) / count
    covariance = np.zeros((width, width))
    for part in parts:
        centred = np.asarray(features[part], np.float64) - mean
        covariance += centred.T @ centred
    if not np.isfinite(covariance).all():
        raise GraftError("features are not finite numbers; no domain can be adapted on them")
    return mean, covariance / (count - 1)


def representation(head: keras.Model, features: tf.Tensor) -> tf.Tensor:
    """What the last layer of a head sees, without dropout: float32 [n, d]; the features themselves if it is linear."""
    for layer in head.layers[:-1]:
        if hasattr(layer, "kernel"):
            features = layer(features)
    return features


def pseudo_labels(task: Task, outputs: np.ndarray) -> np.ndarray:
    """What a trained head answers, in the form of encoded targets."""
    answers = task.target.measured(outputs)
    if task.target.spec.dtype.is_integer:
        return answers.argmax(axis=1).astype(np.int64)
    return (answers > 0.5 if task.target.has_vocabulary else answers).astype(np.float32)


def proxy_a_distance(source: np.ndarray, target: np.ndarray) -> float:
    """How well a linear classifier tells two domains apart: 2 (1 - 2 e), from 0 (not at all) to 2 (always).

    e is its error on examples that it was not fitted on, a mean over both domains, so that their sizes say nothing
    (Ben-David et al., "Analysis of Representations for Domain Adaptation", NIPS 2006).

    Args:
        source: float [n, d], n at least 4.
        target: float [m, d], m at least 4.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    domains = [np.asarray(features, np.float64) for features in (source, target)]
    errors = []
    for fold in range(2):
        fitted = [features[fold::2] for features in domains]
        scaler = StandardScaler().fit(np.concatenate(fitted))
        told = np.repeat([0, 1], [len(features) for features in fitted])
        classifier = LogisticRegression(class_weight="balanced", max_iter=500, C=0.1)
        classifier.fit(scaler.transform(np.concatenate(fitted)), told)
        held = [features[1 - fold :: 2] for features in domains]
        errors += [
            float((classifier.predict(scaler.transform(features)) != domain).mean())
            for domain, features in enumerate(held)
        ]
    return max(0.0, 2 * (1 - 2 * float(np.mean(errors))))


def sample(features: Any) -> np.ndarray:
    """At most some thousand feature vectors, spread evenly over all."""
    return np.asarray(features[np.unique(np.linspace(0, len(features) - 1, MOST).astype(int))])


def distance_findings(before: float, after: float | None, changed: str) -> list[Finding]:
    """The distance of the domains, for people.

    Args:
        before: of the features as they are.
        after: of what the method made of them; None where that is not known.
        changed: what the method aligned.
    """
    from graft.models.history import Finding

    words = "0: a linear classifier cannot tell the domains apart, 2: it always can."
    found = [
        Finding(
            "domain distance",
            round(before, 3),
            f"The proxy A-distance of the domains' features is {before:.2f}. {words}",
        )
    ]
    if after is not None:
        told = f"The proxy A-distance of the domains is {after:.2f} after adaptation ({changed}), {before:.2f} before."
        found.append(Finding("domain distance after", round(after, 3), told))
    return found


def require_adapted(task: Task, outputs: Callable[[Split], np.ndarray], most_of_one: float) -> None:
    """Stops a run whose adapted model has collapsed.

    Adversarial alignment ends there when it is too strong: features without domain are then features without content.

    Args:
        task: fitted.
        outputs: of the trained network for a split, float32 [n, units].
        most_of_one: the largest share of the target's examples that may be given one class.

    Raises:
        GraftError: on eval examples of the source the model is hardly better than an answer that looks at no feature;
            or nearly all examples of the target are given one class, which is not that of nearly all source examples.
    """
    target, method = task.target, task.options.method
    found = target.scores(task.eval.targets, target.measured(outputs(task.eval))).mean()
    blind = linear.Examples(np.zeros((len(task.train), 1), np.float32), task.train.targets, task.train.weights)
    held = linear.Examples(np.zeros((len(task.eval), 1), np.float32), task.eval.targets)
    model = target.solve(blind, held, HeadOptions(l2=1.0), lambda done, step: None).model
    constant = np.repeat(model.bias[None], len(task.eval), axis=0)
    chance = target.scores(task.eval.targets, target.measured(constant)).mean()
    reason = f"transfer.method {method!r} collapsed: "
    less = "a smaller transfer.weight aligns less, and " if hasattr(task.options, "weight") else ""
    advice = f"; {less}a source whose labels do not fit its examples adapts to nothing"
    best = 1.0 if target.score_range == 1.0 else chance  # of scores without a best one any gain counts
    if found <= chance + _LEAST_SKILL * (best - chance):
        raise GraftError(
            f"{task.stage}: {reason}on eval examples of the source domain the {target.score_name} is {found:.4g}, and "
            f"{chance:.4g} for an answer that looks at no feature{advice}"
        )
    if not target.spec.dtype.is_integer or task.unlabelled is None or len(task.unlabelled) < _FEWEST:
        return
    given = np.bincount(pseudo_labels(task, outputs(task.unlabelled)), minlength=target.units) / len(task.unlabelled)
    there = np.bincount(task.train.targets, minlength=target.units) / len(task.train)
    largest = int(given.argmax())
    if given[largest] > most_of_one >= there[largest]:
        raise GraftError(
            f"{task.stage}: {reason}{given[largest]:.1%} of the target domain's examples are given class "
            f"{target.names[largest]!r}, which {there[largest]:.1%} of the source's have; transfer.most_of_one allows "
            f"{most_of_one:.1%}{advice}"
        )
