"""Statistics of batch normalisation, estimated anew with the weights as they are now."""

import itertools
import re
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

STATISTIC = re.compile(r"moving_(mean|variance)$")
"""What the statistics are called, by Keras and by the publishers of SavedModels."""

_BATCHES = 16


class BatchStatistics:
    """Estimates the moving means and variances of a network.

    A restored SavedModel does not tell its momentum m, but shows it: a call in training takes a statistic s to
    m s + (1 - m) b, b being the batch's. After k calls from s = 0 it is a weighted mean of the batches' statistics
    times 1 - m^k.

    Args:
        network: inputs to anything; a call in training updates its statistics.
        variables: its variables, the statistics among them.
        inputs: spec of a batch.
    """

    def __init__(
        self, network: Callable[..., tf.Tensor], variables: Iterable[keras.Variable], inputs: tf.TensorSpec
    ) -> None:
        self._statistics = [variable for variable in variables if STATISTIC.search(variable.name)]
        self._call = tf.function(
            lambda inputs: network(inputs, training=True), input_signature=[inputs], autograph=False
        )

    def estimate(self, batches: Iterable[tf.Tensor]) -> None:
        """Replaces each statistic by the weighted mean over the first 16 batches, smaller ones than the first left out.

        Statistics that a call in training leaves alone stay as they are.

        Args:
            batches: of inputs [n, ...]; at least one.
        """
        if not self._statistics:
            return
        before = [variable.numpy() for variable in self._statistics]
        taken = itertools.islice(batches, _BATCHES)
        first = next(iter(taken))
        from_one, from_zero = self._after(first, 1.0), self._after(first, 0.0)
        momenta = [float(np.median(one - zero)) for one, zero in zip(from_one, from_zero, strict=True)]
        calls = 1
        for inputs in taken:
            if len(inputs) == len(first):
                self._call(inputs)
                calls += 1
        for variable, momentum, old in zip(self._statistics, momenta, before, strict=True):
            weight = 1.0 - momentum**calls
            variable.assign(variable.numpy() / weight if weight > 1e-6 else old)

    def _after(self, inputs: tf.Tensor, start: float) -> list[np.ndarray]:
        """The statistics after one call that finds each of them at `start`."""
        for variable in self._statistics:
            variable.assign(np.full(variable.shape, start, np.float32))
        self._call(inputs)
        return [variable.numpy() for variable in self._statistics]
