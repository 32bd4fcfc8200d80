"""The usual phases: the head on frozen features, and backbone and head together on inputs."""

import keras
import tensorflow as tf

from graft.models import precision
from graft.models.batch_statistics import BatchStatistics
from graft.models.objectives import Forward, supervised
from graft.models.phase import Group, Pass, Phase
from graft.models.solved_head import SolvedHead
from graft.models.task import Task


def head_phase(task: Task, epochs: int) -> Phase | SolvedHead:
    """The head alone, on cached features: solved where its options allow, else trained.

    Args:
        task: what to learn.
        epochs: most epochs of a head that is trained.
    """
    if task.head_options.solved:
        return SolvedHead(task, epochs)

    def regularization() -> list[tf.Tensor]:
        return task.head.losses

    return Phase(
        name="head",
        learn=Pass(
            {"target": task.arrays(task.train)}, supervised(task.target, through_head(task), True, regularization)
        ),
        judge=Pass({"target": task.arrays(task.eval)}, supervised(task.target, through_head(task), False)),
        groups=[Group(task.head.trainable_variables, task.training.learning_rate)],
        state=task.head.variables,
        epochs=epochs,
    )


def backbone_phase(
    task: Task, epochs: int, learning_rate: float, name: str = "fine_tune", batch_norm_training: bool = False
) -> Phase:
    """Backbone and head together, on inputs.

    Args:
        task: its backbone is unfrozen as far as it shall move.
        epochs: most epochs.
        learning_rate: Adam's.
        name: of the phase.
        batch_norm_training: whether batch normalisation uses and updates the statistics of the batch, as a network
            trained from scratch needs.
    """
    backbone = task.backbone
    assert backbone is not None
    forward = through_backbone(task, batch_norm_training)
    moved: list[keras.Variable] = backbone.variables if batch_norm_training else backbone.trainable_variables
    train = task.inputs(task.train)

    def regularization() -> list[tf.Tensor]:
        return [*task.head.losses, *backbone.losses]

    return Phase(
        name=name,
        learn=Pass({"target": train}, supervised(task.target, forward, True, regularization)),
        judge=Pass({"target": task.inputs(task.eval)}, supervised(task.target, forward, False)),
        groups=[Group([*task.head.trainable_variables, *backbone.trainable_variables], learning_rate)],
        state=[*task.head.variables, *moved],
        epochs=epochs,
        unit=backbone.takes.unit,
        backbone=backbone,
        dtype_policy=precision.choose_policy(task.training.mixed_precision),
        statistics=BatchStatistics(backbone, moved, train.spec["inputs"]) if batch_norm_training else None,
    )


def through_head(task: Task) -> Forward:
    """Features to outputs of the head, as a forward computation."""

    def forward(features: tf.Tensor, training: bool) -> tf.Tensor:
        return task.head(features, training=training)

    return forward


def through_backbone(task: Task, batch_norm_training: bool = False) -> Forward:
    """Inputs to outputs of the head, as a forward computation; see `backbone_phase`."""

    backbone = task.backbone
    assert backbone is not None

    def forward(inputs: tf.Tensor, training: bool) -> tf.Tensor:
        features = backbone(inputs, training=training and batch_norm_training)
        return task.head(tf.cast(features, tf.float32), training=training)

    return forward
