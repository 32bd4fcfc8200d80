"""The usual phases: the head on frozen features, and backbone and head together on inputs."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from graft.models import precision
from graft.models.batch_statistics import BatchStatistics
from graft.models.mixup import Shares
from graft.models.objectives import Network, Term, supervised
from graft.models.phase import Data, Group, Pass, Phase
from graft.models.solved_head import SolvedHead
from graft.models.task import Task


def head_phase(task: Task, epochs: int) -> Phase | SolvedHead:
    """The head alone, on cached features: solved where its options allow, else trained.

    Args:
        task: what to learn.
        epochs: most epochs of a head that is trained.
    """
    return SolvedHead(task, epochs) if task.head_options.solved else trained_head_phase(task, epochs)


def trained_head_phase(
    task: Task, epochs: int, streams: Mapping[str, Data] | None = None, terms: Sequence[Term] = ()
) -> Phase:
    """The head alone, trained on cached features.

    Args:
        task: what to learn.
        epochs: most epochs.
        streams: beside the training examples, which are stream `target`.
        terms: of the objective, over all streams; the features they see are the cached ones.
    """

    def regularization() -> list[tf.Tensor]:
        return task.head.losses

    network = through_head(task)
    return Phase(
        name="head",
        learn=Pass(
            {"target": task.arrays(task.train), **(streams or {})},
            supervised(task.target, network, True, regularization, terms=terms),
        ),
        judge=Pass({"target": task.arrays(task.eval)}, supervised(task.target, network, False)),
        groups=[Group(task.head.trainable_variables, task.training.learning_rate), *_groups(terms)],
        state=[*task.head.variables, *_state(terms)],
        epochs=epochs,
    )


def backbone_phase(
    task: Task,
    epochs: int,
    learning_rate: float,
    name: str = "fine_tune",
    batch_norm_training: bool = False,
    streams: Mapping[str, Data] | None = None,
    terms: Sequence[Term] = (),
    groups: Sequence[Group] = (),
    mixup: float = 0.0,
) -> Phase:
    """Backbone and head together, on inputs.

    Args:
        task: its backbone is unfrozen as far as it shall move.
        epochs: most epochs.
        learning_rate: Adam's.
        name: of the phase.
        batch_norm_training: whether batch normalisation uses and updates the statistics of the batch, as a network
            trained from scratch needs.
        streams: beside the training examples, which are stream `target`.
        terms: of the objective, over all streams.
        groups: what moves of backbone and head, and how; by default all that is trainable, by one Adam.
        mixup: alpha of `models.mixup` over the training examples; 0: they stay as they are.
    """
    backbone = task.backbone
    assert backbone is not None
    network = through_backbone(task, batch_norm_training)
    groups = groups or [Group([*task.head.trainable_variables, *backbone.trainable_variables], learning_rate)]
    opened = {id(variable) for group in groups for variable in group.variables}
    moved: list[keras.Variable] = (
        backbone.variables if batch_norm_training else [v for v in backbone.trainable_variables if id(v) in opened]
    )
    train: Data = task.inputs(task.train)
    if mixup:
        train = Shares(train, mixup)

    def regularization() -> list[tf.Tensor]:
        return [*task.head.losses, *backbone.losses]

    return Phase(
        name=name,
        learn=Pass(
            {"target": train, **(streams or {})},
            supervised(task.target, network, True, regularization, terms=terms),
        ),
        judge=Pass({"target": task.inputs(task.eval)}, supervised(task.target, network, False)),
        groups=[*groups, *_groups(terms)],
        state=[*task.head.variables, *moved, *_state(terms)],
        epochs=epochs,
        unit=backbone.takes.unit,
        backbone=backbone,
        dtype_policy=precision.choose_policy(task.training.mixed_precision),
        statistics=BatchStatistics(backbone, moved, train.spec["inputs"]) if batch_norm_training else None,
    )


def through_head(task: Task) -> Network:
    """Features to themselves and outputs of the head, as a forward computation."""

    def network(features: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        return features, task.head(features, training=training)

    return network


def through_backbone(task: Task, batch_norm_training: bool = False) -> Network:
    """Inputs to features and outputs of the head, as a forward computation; see `backbone_phase`."""

    backbone = task.backbone
    assert backbone is not None

    def network(inputs: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        features = tf.cast(backbone(inputs, training=training and batch_norm_training), tf.float32)
        return features, task.head(features, training=training)

    return network


def _groups(terms: Sequence[Term]) -> list[Group]:
    return [group for term in terms for group in term.groups]


def _state(terms: Sequence[Term]) -> list[keras.Variable]:
    return [variable for term in terms for variable in term.state]
