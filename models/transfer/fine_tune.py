"""Fine-tuning in two phases: first the head on frozen features, then backbone and head at a small learning rate.

A fresh head sends large gradients through the backbone and distorts its features; a head that has converged does
not (LP-FT: Kumar et al., "Fine-Tuning can Distort Pretrained Features", ICLR 2022). Batch normalisation stays in
inference mode: the statistics of a small target set are worse than the published ones. The weights with the best
eval loss over both phases are kept, so fine-tuning never ends worse on eval than the head alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.task import Task

REFITS = False


class Options(MethodOptions):
    """How much of the backbone moves, how far and for how long."""

    method: Literal["fine_tune"] = "fine_tune"
    unfreeze: float = Field(
        default=1.0, gt=0.0, le=1.0, description="Share of the backbone's layers, from the top, that is trained."
    )
    learning_rate: float = Field(default=1e-5, gt=0.0, description="Adam's learning rate for backbone and head.")
    epochs: int = Field(default=5, ge=1, description="Most epochs of the second phase.")
    head_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Most epochs of the first phase where the head is trained; as train.epochs where absent.",
    )


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then the top `unfreeze` of the backbone with it; both end with the best eval weights."""
    from graft.models import loop
    from graft.models.standard_phases import backbone_phase, head_phase

    options = cast(Options, task.options)
    phases = [head_phase(task, options.head_epochs or task.training.epochs)]
    task.backbone.unfreeze(options.unfreeze)
    phases.append(backbone_phase(task, options.epochs, options.learning_rate))
    return loop.run(task, phases)
