"""A head that is a vote: the mean of the probabilities that several linear models give."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from graft.models.linear import Linear

if TYPE_CHECKING:
    import keras

_LEAST = 1e-30
"""Added to a probability before its logarithm; float32 holds it, and no answer shows it."""


def build_vote(voters: Sequence[Linear], shares: Sequence[float]) -> "keras.Model":
    """A head of plain Keras layers, so that it saves, loads and exports as any other.

    Its outputs are log sum_t s_t softmax(x W_t + b_t): their softmax are the probabilities of the vote.

    Args:
        voters: of one shape, d features to k outputs.
        shares: of each in the vote; they are scaled to sum to 1.

    Returns:
        A model float32 [n, d] -> float32 [n, k].
    """
    import keras

    (width, units), count = voters[0].kernel.shape, len(voters)
    layers = keras.layers
    features = keras.Input((width,), dtype="float32", name="feature_vector")
    stacked = layers.Dense(count * units, dtype="float32", name="logits")
    shared = layers.Dense(1, use_bias=False, dtype="float32", name="shares")
    votes = layers.Softmax(dtype="float32")(layers.Reshape((count, units), dtype="float32")(stacked(features)))
    mean = shared(layers.Permute((2, 1), dtype="float32")(votes))
    outputs = keras.ops.log(layers.Reshape((units,), dtype="float32")(mean) + _LEAST)
    head = keras.Model(features, outputs, name="head")
    stacked.set_weights(
        [np.concatenate([voter.kernel for voter in voters], axis=1), np.concatenate([voter.bias for voter in voters])]
    )
    parts = np.asarray(shares, np.float64)
    shared.set_weights([(parts / parts.sum()).astype(np.float32)[:, None]])
    return head
