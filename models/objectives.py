"""The objective of labelled examples, and the parts that other objectives are made of."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from graft.models.phase import Batch, Batches, Objective, Outcome
from graft.models.targets.base import Target

Forward = Callable[[tf.Tensor, bool], tf.Tensor]
"""(inputs [n, ...], training) -> outputs of the head float32 [n, units]."""


def supervised(
    target: Target,
    forward: Forward,
    training: bool,
    regularization: Callable[[], Sequence[tf.Tensor]] = tuple,
    stream: str = "target",
) -> Objective:
    """What the target says of a network's outputs for labelled examples.

    Args:
        target: its losses become `loss`, its progress the figures.
        forward: the network.
        training: whether the network is called in training; then examples count by their weights.
        regularization: scalars to minimise too; called after `forward` in the same step.
        stream: that holds the examples.
    """

    def objective(batches: Batches) -> Outcome:
        outputs = forward(batches[stream]["inputs"], training)
        outcome = labelled(target, batches[stream], outputs, training)
        outcome.regularization = regularization() if training else ()
        return outcome

    return objective


def labelled(target: Target, batch: Batch, outputs: tf.Tensor, training: bool) -> Outcome:
    """What the target says of the outputs for one labelled batch: `loss`, and its figures.

    Args:
        target: what is predicted.
        batch: with `targets`, and `weights` where examples have them.
        outputs: of the head for its inputs, float32 [n, units].
        training: as for `Target.losses`; weights of examples count in training only.
    """
    losses = target.losses(batch["targets"], outputs, training)
    if training and "weights" in batch:
        losses *= batch["weights"]
    return Outcome({"loss": losses}, dict(target.progress(batch["targets"], outputs)))
