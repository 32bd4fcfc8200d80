"""What the methods that move the backbone have in common: their settings, and the phases made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    from graft.models.objectives import Term
    from graft.models.phase import Data, Phase
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Task


class MovingOptions(MethodOptions):
    """How much of the backbone moves, how far and for how long."""

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


def phases(
    task: Task,
    options: MovingOptions,
    streams: Mapping[str, Data] | None = None,
    terms: Sequence[Term] = (),
    head: Phase | SolvedHead | None = None,
) -> list[Phase | SolvedHead]:
    """First the head on frozen features, then backbone and head.

    Args:
        task: its backbone is unfrozen as `options` say.
        options: of the method.
        streams: beside the training examples, in the second part.
        terms: of the objective of the second part.
        head: the first part; by default the head on the features of the training examples.
    """
    from graft.models.standard_phases import backbone_phase, head_phase

    first = head or head_phase(task, options.head_epochs or task.training.epochs)
    task.backbone.unfreeze(options.unfreeze)
    second = backbone_phase(task, options.epochs, options.learning_rate, options.method, streams=streams, terms=terms)
    return [first, second]
