"""L2-SP (Li et al., ICML 2018): weights are drawn towards where they started. A method in one file, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.task import Task

REFITS = False


class Options(MethodOptions):
    """How strongly, and how long."""

    method: Literal["l2_sp"] = "l2_sp"
    weight: float = Field(default=0.01, ge=0, description="Of the squared distance from the published weights.")
    epochs: int = Field(default=3, ge=1, description="Most epochs.")


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Trains backbone and head together."""
    import tensorflow as tf

    from graft.models import loop
    from graft.models.standard_phases import backbone_phase

    task.backbone.unfreeze(1.0)
    phase = backbone_phase(task, task.options.epochs, 1e-2)
    start = [tf.constant(variable.numpy()) for variable in task.backbone.trainable_variables]
    supervised = phase.learn.objective

    def objective(batches):
        outcome = supervised(batches)
        moved = zip(task.backbone.trainable_variables, start, strict=True)
        outcome.losses["distance"] = tf.add_n([tf.reduce_sum((variable - old) ** 2) for variable, old in moved])
        outcome.weights["distance"] = task.options.weight
        return outcome

    phase.learn.objective = objective
    return loop.run(task, [phase])
