"""Magnitude pruning as a term of an objective: masks that grow step by step, and hold through every update."""

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from graft.models.objectives import Seen
from graft.models.phase import Group, Outcome


class Pruning:
    """Zeroes the weights with the smallest magnitude, tensor by tensor; tells the `sparsity`.

    Masks are drawn anew at the first step, every `every` steps and at the end of the ramp. They are applied after each
    update, as the variables' `constraint`; `release` takes that off again.

    Args:
        variables: of two or more dimensions, none with a constraint.
        sparsity: share of each that ends as 0, in [0, 1).
        ramp: steps until then; 0: from the first step on.
        every: steps between two choices.

    Attributes:
        groups: none: masks are not learned.
        state: the number of steps taken, and a mask of 0 and 1 for each variable.
    """

    groups: Sequence[Group] = ()

    def __init__(self, variables: Sequence[keras.Variable], sparsity: float, ramp: int, every: int):
        self._variables, self._sparsity, self._ramp, self._every = variables, sparsity, ramp, every
        self._step = keras.Variable(0, dtype="int64", trainable=False, name="pruning_step")
        self._masks = [
            keras.Variable(np.ones(tuple(v.shape), np.float32), trainable=False, name="mask") for v in variables
        ]
        for variable, mask in zip(variables, self._masks, strict=True):
            variable.constraint = _Held(mask)
        self.state: Sequence[keras.Variable] = [self._step, *self._masks]

    def __call__(self, seen: Mapping[str, Seen]) -> Outcome:
        """Counts a step; `seen` plays no part."""
        step = tf.convert_to_tensor(self._step)
        due = (step <= self._ramp) & ((step % self._every == 0) | (step == self._ramp))

        def choose() -> tf.Tensor:
            share = scheduled(step, self._ramp, self._sparsity)
            for variable, mask in zip(self._variables, self._masks, strict=True):
                mask.assign(largest(tf.convert_to_tensor(variable), share))
            return tf.constant(True)

        with tf.control_dependencies([tf.cond(due, choose, lambda: tf.constant(False))]):
            zeros = tf.add_n([tf.reduce_sum(1.0 - tf.convert_to_tensor(mask)) for mask in self._masks])
        self._step.assign_add(1)
        return Outcome({}, figures={"sparsity": zeros / sum(math.prod(v.shape) for v in self._variables)})

    def zeros(self) -> tuple[int, int]:
        """How many of the variables' weights are 0, and how many they are."""
        values = [np.asarray(variable) for variable in self._variables]
        return sum(int(np.sum(value == 0)) for value in values), sum(value.size for value in values)

    def release(self) -> None:
        """Lets the variables go; zeros stay as they are."""
        for variable in self._variables:
            variable.constraint = None


class _Held(keras.constraints.Constraint):
    """Multiplies by a mask."""

    def __init__(self, mask: keras.Variable):
        self._mask = mask

    def __call__(self, w):
        return w * self._mask


def scheduled(step: tf.Tensor, ramp: int, sparsity: float) -> tf.Tensor:
    """Zhu and Gupta's equation 1 with s_i = 0: the share that is 0 at a step.

    Args:
        step: int64 scalar, from 0 to `ramp`.
        ramp: the step at which `sparsity` is reached.
        sparsity: the last share.
    """
    left = 1.0 - tf.cast(step, tf.float32) / ramp if ramp else tf.zeros([])
    return sparsity * (1.0 - left**3)


def largest(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """A mask float32 of `values`' shape: 0 for the `share` of them with the smallest magnitude, rounded down.

    Of equal magnitudes those at the lower places are dropped first, so the count is right whatever the values.
    """
    flat = tf.abs(tf.reshape(values, [-1]))
    count = tf.cast(tf.floor(share * tf.cast(tf.size(flat), tf.float32)), tf.int32)
    dropped = tf.argsort(flat, stable=True)[:count, None]
    mask = tf.tensor_scatter_nd_update(tf.ones_like(flat, tf.float32), dropped, tf.zeros([count]))
    return tf.reshape(mask, tf.shape(values))
