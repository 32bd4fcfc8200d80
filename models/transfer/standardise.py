"""Standardisation of each domain by itself: the head sees how far a feature is from its domain's mean, in its units.

    (x - m_s) / d_s  of the source,  (x - m_t) / d_t  of the target

m and d are mean and standard deviation of each feature, by domain. To learn on the former and answer with the latter is
to learn on x' = (x - m_s) d_t / d_s + m_t and to answer with x itself, up to the head's penalty, which then counts in
the target's units. So that is what the head learns on, and the exported model needs no statistics. A feature that is
constant in the source is only shifted.

It is `coral` with the diagonal of the covariances alone: it needs fewer examples, and sees no rotation or mixing of
features. As batch statistics of the target domain it is known as AdaBN (Li et al., "Revisiting Batch Normalization For
Practical Domain Adaptation", 2016).

Limits: those of `coral`. Where the two domains hold classes in other shares, their means differ for that reason alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from graft.models.transfer.adapting import WatchedOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.task import Task

REFITS = SOLVES = True
ADAPTS = True


class Options(WatchedOptions):
    """When a model counts as collapsed; there is nothing else to set."""

    method: Literal["standardise"] = "standardise"


def reads_inputs(options: Options) -> bool:
    """It does not: the backbone stays as it is."""
    return False


def fit(task: Task) -> History:
    """Fits the head on the source's features with the target's mean and deviation of each.

    Raises:
        GraftError: a domain has fewer than two examples; features that are no finite numbers; a collapse.
    """
    import numpy as np

    from graft.models.adaptation import moments
    from graft.models.transfer.coral import fit_mapped

    options = cast(Options, task.options)
    assert task.unlabelled is not None
    source, target = moments(task.train.features), moments(task.unlabelled.features)
    spread, wanted = (np.sqrt(np.diag(covariance)) for _, covariance in (source, target))
    scale = np.divide(wanted, spread, out=np.ones_like(spread), where=spread > 0)
    return fit_mapped(task, source[0], scale, target[0], options.most_of_one, "each feature standardised")
