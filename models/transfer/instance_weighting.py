"""Joint training in which a source example counts as much as the target would have it.

    minimise  L_target + weight * mean_i w_i loss_i,   w_i an estimate of p_target(x_i) / p_source(x_i), of mean 1

L_target is the mean loss of the target's examples, i runs over those of the source. With `labels: source` the target's
labels are not looked at, there is no L_target, and eval examples of the source choose; those count alike. Where the two
domains differ in which inputs occur, and not in what a given input is labelled (covariate shift), the weighed mean over
the source is an estimate of the mean over the target (Shimodaira, J. Statistical Planning and Inference 90, 2000).

Estimators, each in `models.ratios`: `kmm` (Huang et al., NIPS 2006), `kliep` (Sugiyama et al., NIPS 2007), `classifier`
(Bickel et al., ICML 2007). They look at features only, of the published backbone, in their few leading components
(`models.ratios.reduce` says why); their weights hold for the whole training, and for a backbone that moves. Examples of
the target without a label tell what occurs there, too.

No weight is above sqrt(n) unless `most` says so (`models.ratios.truncation`). Weights of 1 make it `joint`, bit for
bit. Few rows that hold most of the weight make the estimate a matter of luck: the effective sample size
(sum w)^2 / sum w^2 stands among the findings. Below 2 examples it is refused, below 10 or below 1 % of the source it is
told to be little.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel, Field

from graft.models.errors import GraftError
from graft.models.transfer import joint
from graft.models.transfer.joint import MixedOptions

if TYPE_CHECKING:
    import numpy as np

    from graft.models.history import Finding, History
    from graft.models.inputs.base import Input
    from graft.models.options import HeadOptions
    from graft.models.phase import Phase
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Split, Task

log = logging.getLogger(__name__)

REFITS, UNLABELLED, SOLVES = False, True, True
LEAST_TARGET, LEAST_EFFECTIVE = 5, 2.0
_LITTLE, _LITTLE_SHARE = 10.0, 0.01


class Options(MixedOptions):
    """How the weights of the source's examples are estimated."""

    method: Literal["instance_weighting"] = "instance_weighting"
    estimator: Literal["kmm", "kliep", "classifier"] = Field(
        default="kmm",
        description="`kmm` matches the means of both domains in a kernel's space, `kliep` fits the ratio by "
        "likelihood, `classifier` tells the domains apart.",
    )
    labels: Literal["both", "source"] = Field(
        default="both", description="Of which domain labels are looked at: with `source` the target's are not."
    )
    components: int = Field(
        default=16, ge=1, le=256, description="Most components of the features that the weights are estimated in."
    )
    most: float | None = Field(
        default=None,
        gt=1.0,
        description="Largest weight of an example before their mean is made 1; null: the root of their number. The "
        "paper of KMM has 1000.",
    )


def reads_inputs(options: Options) -> bool:
    """Where the backbone moves."""
    return joint.reads_inputs(options)


def ADAPTS(options: Options) -> bool:
    """Where the target's labels are not looked at."""
    return options.labels == "source"


def check(options: Options, head: HeadOptions, input: Input, target: BaseModel) -> None:
    """Refuses a weight of the source beside a target that has none.

    Raises:
        GraftError: that is so.
    """
    if options.labels == "source" and options.weight != Options.model_fields["weight"].default:
        raise GraftError(
            f"transfer.weight: received {options.weight:g} beside transfer.labels: source; it weighs the source's loss "
            "against the target's, which is not looked at. Leave it out"
        )


def fit(task: Task) -> History:
    """Estimates the weights, then trains as `joint` does, or on the source alone.

    Raises:
        GraftError: there are no labelled training examples of the source domain, too few of the target domain to say
            what occurs there, or nearly all the weight is on one example.
    """
    from graft.models import loop

    options, findings = cast(Options, task.options), []
    if ADAPTS(options):
        assert task.unlabelled is not None
        train, found = weighed(task.train, task.unlabelled.features, options)
        task, findings = dataclasses.replace(task, train=train), [found]
        phases = _on_the_source(task, options)
    else:
        if task.source is not None:  # else `joint.phases` says what is missing
            source, found = weighed(task.source, _occurring(task), options)
            task, findings = dataclasses.replace(task, source=source), [found]
        phases = joint.phases(task, options)
    history = loop.run(task, phases)
    history.findings += findings
    return history


def _on_the_source(task: Task, options: Options) -> list[Phase | SolvedHead]:
    """As `joint.phases`, of examples with weights alone."""
    from graft.models.standard_phases import backbone_phase, head_phase

    phases = [head_phase(task, task.training.epochs)]
    if options.unfreeze:
        assert task.backbone is not None
        task.backbone.unfreeze(options.unfreeze)
        phases.append(backbone_phase(task, options.epochs, options.learning_rate))
    return phases


def _occurring(task: Task) -> np.ndarray:
    """Features of all examples of the target domain, with a label or without."""
    from graft.models.arrays import Joined

    if task.unlabelled is None:
        return task.train.features
    joined: Any = Joined(task.train.features, task.unlabelled.features)
    return joined


def weighed(source: Split, target: np.ndarray, options: Options) -> tuple[Split, Finding]:
    """The source with an estimated weight in each example's, and what they are worth.

    Args:
        source: examples to weigh.
        target: features of what occurs in the target domain, float [m, d].
        options: of the method.

    Raises:
        GraftError: see `fit`.
    """
    import numpy as np

    from graft.models.history import Finding
    from graft.models.ratios.sample_size import effective

    weights = ratios(source.features, target, options)
    count, size, name = len(weights), effective(weights), options.estimator
    if not size >= LEAST_EFFECTIVE:
        raise GraftError(
            f"transfer.estimator: {name} gives {count} source examples the weight of {size:.1f}; allowed: at least "
            f"{LEAST_EFFECTIVE:g}. The domains hardly overlap: choose fewer transfer.components, another estimator or "
            "method 'joint'"
        )
    words = (
        f"By {name}, the {count} source examples weigh as much as {size:.0f} that all count the same; the largest "
        f"weight is {weights.max():.3g} times the mean."
    )
    if size < max(_LITTLE, _LITTLE_SHARE * count):
        words += (
            f" That is little (below {_LITTLE:g}, or {_LITTLE_SHARE:.0%} of them): luck decides which examples count."
        )
        log.warning("transfer: %s", words)
    own = 1.0 if source.weights is None else source.weights
    found = Finding("effective sample size", round(size, 2), words)
    return dataclasses.replace(source, weights=(weights * own).astype(np.float32)), found


def ratios(source: np.ndarray, target: np.ndarray, options: Options) -> np.ndarray:
    """Estimated weights of mean 1 (0 where all are), float64 [n].

    Args:
        source: features of the source, float [n, d].
        target: features of the target, float [m, d].
        options: of the method.

    Raises:
        GraftError: too few rows of the target; no overlap that the estimator could see.
    """
    from graft.models.ratios import ESTIMATORS, truncation
    from graft.models.ratios.reduce import reduced

    if target.shape[0] < LEAST_TARGET:
        raise GraftError(
            "transfer.method: 'instance_weighting' needs training examples of the target domain to learn what occurs "
            f"there; received {target.shape[0]}, allowed: at least {LEAST_TARGET}"
        )
    rows, wanted = reduced(source, target, options.components)
    weights = ESTIMATORS.module(options.estimator).estimate(rows, wanted, options.most or truncation(len(rows)))
    mean = float(weights.mean())
    return weights / mean if mean > 0 else weights
