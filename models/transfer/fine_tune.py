"""Fine-tuning in two phases: first the head on frozen features, then backbone and head at a small learning rate.

    minimise  L_target(head, backbone)      from the published backbone

A fresh head sends large gradients through the backbone and distorts its features; a head that has converged does
not (LP-FT: Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022). Batch normalisation stays in
inference mode: the statistics of a small target set are worse than the published ones. The weights with the best
eval loss over all phases are kept, so fine-tuning never ends worse on eval than the head alone. What moves, how fast
and in which order say the settings that all methods share which move the backbone (`models.transfer.moving`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from graft.models.transfer.moving import MovingOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.task import Task

REFITS = False


class Options(MovingOptions):
    """Fine-tuning has no settings beside those of every method that moves the backbone."""

    method: Literal["fine_tune"] = "fine_tune"


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then the top `unfreeze` of the backbone with it; both end with the best eval weights."""
    from graft.models import loop
    from graft.models.transfer import moving

    return loop.run(task, moving.phases(task, cast(Options, task.options)))
