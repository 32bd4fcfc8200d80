"""Linear CORAL: the source's features are given the target's mean and covariance, and the head learns on those.

    x' = (x - m_s) (C_s + e I)^-1/2 (C_t + e I)^1/2 + m_t

m and C are mean and covariance (divided by n - 1) of the features of the source (s) and the target domain (t), e is
`epsilon` times their mean variance. The head learns on x' of the labelled source examples; the target's features stay
as they are, so the exported model needs nothing more than any other head.

Sun, Feng and Saenko, "Return of Frustratingly Easy Domain Adaptation", AAAI 2016. There e = 1 for features of unit
size, and features are standardised first; here e is relative to the features' variance, and the mean is shifted too.

Limits: domains of equal statistics are left as they are. What does not show in mean and covariance is not seen: with an
inverted target (1 - x), or where a class looks like another one of the other domain, it adapts to the wrong thing. With
fewer examples than features the covariances say little, and `epsilon` should be larger.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.transfer.adapting import WatchedOptions

if TYPE_CHECKING:
    import numpy as np

    from graft.models.history import History
    from graft.models.task import Task

REFITS = SOLVES = True
ADAPTS = True


class Options(WatchedOptions):
    """How much of the identity is added to the covariances, and when a model counts as collapsed."""

    method: Literal["coral"] = "coral"
    epsilon: float = Field(
        default=0.1, gt=0.0, description="Share of the features' mean variance that is added to each variance."
    )


def reads_inputs(options: Options) -> bool:
    """It does not: the backbone stays as it is."""
    return False


def fit(task: Task) -> History:
    """Fits the head on the source's features as they would look in the target domain.

    Raises:
        GraftError: a domain has fewer than two examples; features that are no finite numbers; a collapse.
    """
    from graft.models.adaptation import moments

    options = cast(Options, task.options)
    assert task.unlabelled is not None
    source, target = moments(task.train.features), moments(task.unlabelled.features)
    matrix = recolouring(source[1], target[1], options.epsilon)
    return fit_mapped(task, source[0], matrix, target[0], options.most_of_one, "source recoloured")


def recolouring(source: np.ndarray, target: np.ndarray, epsilon: float) -> np.ndarray:
    """(C_s + e I)^-1/2 (C_t + e I)^1/2, float64 [d, d].

    Args:
        source: C_s, float64 [d, d].
        target: C_t, float64 [d, d].
        epsilon: e in units of the mean of both diagonals.
    """
    import numpy as np

    added = epsilon * (np.trace(source) + np.trace(target)) / (2 * len(source)) or 1.0
    white, colour = (_power(covariance, added, power) for covariance, power in ((source, -0.5), (target, 0.5)))
    return white @ colour


def _power(covariance: np.ndarray, added: float, power: float) -> np.ndarray:
    """(C + added I)^power of a symmetric matrix."""
    import numpy as np

    values, vectors = np.linalg.eigh(covariance)
    return (vectors * (np.maximum(values, 0) + added) ** power) @ vectors.T


def fit_mapped(
    task: Task, before: np.ndarray, matrix: np.ndarray, after: np.ndarray, most_of_one: float, changed: str
) -> History:
    """Fits the head on the source's features under an affine map, and tells how far the domains were apart.

    Args:
        task: its training and eval examples are given the map.
        before: see `models.adaptation.Mapped`.
        matrix: likewise.
        after: likewise.
        most_of_one: of the method's settings.
        changed: what the map does, for people.

    Raises:
        GraftError: see `require_adapted`.
    """
    from graft.models import loop, standard_phases
    from graft.models.adaptation import Mapped, distance_findings, proxy_a_distance, require_adapted, sample
    from graft.models.outputs import trained_outputs

    plain, wanted = sample(task.train.features), sample(task.unlabelled.features)
    task.train, task.eval = (
        dataclasses.replace(split, features=cast("np.ndarray", Mapped(split.features, before, matrix, after)))
        for split in (task.train, task.eval)
    )
    history = loop.run(task, [standard_phases.head_phase(task, task.training.epochs)])
    require_adapted(task, lambda split: trained_outputs(task, split), most_of_one)
    if min(len(plain), len(wanted)) >= 4:
        distances = [proxy_a_distance(features, wanted) for features in (plain, sample(task.train.features))]
        history.findings += distance_findings(distances[0], distances[1], changed)
    return history
