"""Deep CORAL (Sun and Saenko, ECCV workshops 2016): covariances of labelled source and unlabelled target features are
drawn together. A method in one file, for tests: two streams, two optimizers, a figure and a direction of its own."""

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

    method: Literal["coral"] = "coral"
    weight: float = Field(default=1.0, ge=0, description="Of the squared distance between covariances.")
    epochs: int = Field(default=3, ge=1, description="Most epochs.")


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Trains backbone and head on source labels; the target's labels are for judging only."""
    import keras
    import tensorflow as tf

    from graft.models import loop
    from graft.models.datasets import InputSplit
    from graft.models.objectives import labelled, supervised
    from graft.models.phase import Group, Pass, Phase
    from graft.models.standard_phases import through_backbone

    task.backbone.unfreeze(1.0)
    train = task.train
    unlabelled = InputSplit(train.patterns, task.backbone.takes, {}, task.training.batch_size, train.rows)

    def covariance(features: tf.Tensor) -> tf.Tensor:
        centred = features - tf.reduce_mean(features, axis=0)
        return tf.matmul(centred, centred, transpose_a=True) / tf.cast(tf.shape(features)[0], tf.float32)

    def objective(batches):
        source, target = (task.backbone(batches[name]["inputs"], training=False) for name in ("source", "target"))
        outcome = labelled(task.target, batches["source"], task.head(source, training=True), True)
        outcome.losses["coral"] = tf.reduce_mean((covariance(source) - covariance(target)) ** 2)
        outcome.weights["coral"] = task.options.weight
        return outcome

    phase = Phase(
        name="coral",
        learn=Pass({"source": task.inputs(task.source), "target": unlabelled}, objective),
        judge=Pass({"target": task.inputs(task.eval)}, supervised(task.target, through_backbone(task), False)),
        groups=[
            Group(task.backbone.trainable_variables, 1e-3),
            Group(task.head.trainable_variables, 1e-2, lambda rate: keras.optimizers.SGD(rate, momentum=0.9)),
        ],
        state=[*task.head.variables, *task.backbone.trainable_variables],
        epochs=task.options.epochs,
        monitor="val_accuracy",
        lower_is_better=False,
        unit=task.backbone.takes.unit,
        backbone=task.backbone,
    )
    return loop.run(task, [phase])
