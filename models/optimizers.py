"""Optimizers by name, and one made of several, for groups of variables that move at rates of their own."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from graft.models.phase import Group


def make(
    name: str,
    variables: Sequence[keras.Variable],
    rate: "float | keras.optimizers.schedules.LearningRateSchedule",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> keras.optimizers.Optimizer:
    """A fresh optimizer.

    Decay is decoupled from the gradient (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019): a
    step also takes rate * weight_decay * w from w. Biases and the scales and offsets of normalisations, which are
    vectors, are left out of it: they are few, and a scale that goes to 0 switches its channel off.

    Args:
        name: `adam`, `adamw` or `sgd`.
        variables: what it will move.
        rate: learning rate.
        momentum: of `sgd`.
        weight_decay: of `adamw` and `sgd`.
    """
    if name == "adam":
        return keras.optimizers.Adam(rate)
    if name == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=weight_decay)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=momentum, weight_decay=weight_decay or None)
    if weight_decay:
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if len(v.shape) < 2])
    return optimizer


def together(groups: Sequence[Group], clip: float | None = None) -> keras.optimizers.Optimizer:
    """One optimizer for all groups, so that one backward pass and one loss scale serve them.

    Args:
        groups: of a phase.
        clip: see `Several`.
    """
    optimizers = [group.optimizer(group.learning_rate) for group in groups]
    return optimizers[0] if len(groups) == 1 and clip is None else Several(groups, optimizers, clip)


class Several(keras.optimizers.Optimizer):
    """Applies to each group's gradients the group's optimizer.

    `keras.optimizers.MultiOptimizer` fails where none of a group's variables has a gradient, which an unused part of a
    network has not, and Keras clips each replica's gradients before it sums them.

    Args:
        groups: whose variables are moved.
        optimizers: of these groups.
        clip: the gradient g over all groups and replicas becomes g min(1, clip / |g|) (Pascanu et al., "On the
            difficulty of training recurrent neural networks", ICML 2013); None: it stays.
    """

    def __init__(
        self, groups: Sequence[Group], optimizers: Sequence[keras.optimizers.Optimizer], clip: float | None = None
    ):
        super().__init__(learning_rate=0.0)
        self._groups, self._optimizers, self._clip = list(groups), list(optimizers), clip

    @property
    def variables(self) -> list[keras.Variable]:
        """Those of all optimizers."""
        return [variable for optimizer in self._optimizers for variable in optimizer.variables]

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the variables of every optimizer; `variables` are those of all groups, one after the other."""
        for optimizer, group in zip(self._optimizers, self._groups, strict=True):
            optimizer.build(list(group.variables))
        self.built = True

    def apply(
        self, grads: Sequence[tf.Tensor | None], trainable_variables: Sequence[keras.Variable] | None = None
    ) -> None:
        """Moves all groups; gradients stand in the order of `build`, None where a variable has none."""
        if self._clip is not None:
            grads = _clipped(grads, self._clip)
        left = iter(grads)
        for optimizer, group in zip(self._optimizers, self._groups, strict=True):
            some = [next(left) for _ in group.variables]
            if any(grad is not None for grad in some):
                optimizer.apply(some, list(group.variables))


def _clipped(grads: Sequence[tf.Tensor | None], most: float) -> list[tf.Tensor | None]:
    """This replica's share of a gradient whose sum over replicas is no longer than `most`."""
    there = [tf.convert_to_tensor(grad) for grad in grads if grad is not None]
    context = tf.distribute.get_replica_context()
    whole = there if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, there)
    factor = most / tf.maximum(tf.linalg.global_norm(whole), most)

    def shorter(grad: tf.Tensor | None) -> tf.Tensor | None:
        if isinstance(grad, tf.IndexedSlices):  # the rows of an embedding that were read
            return tf.IndexedSlices(grad.values * factor, grad.indices, grad.dense_shape)
        return None if grad is None else grad * factor

    return [shorter(grad) for grad in grads]
