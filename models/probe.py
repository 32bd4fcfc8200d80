"""Judges from a few examples whether a network gives feature vectors, and of this input."""

import keras
import numpy as np
import tensorflow as tf

from graft.models.inputs.base import Input


def find_fault(body: keras.layers.Layer, probes: tf.Tensor, input: Input) -> str | None:
    """What is wrong with the features of these examples, or None.

    Args:
        body: a network from `probes` to `[n, d]`; left as it is.
        probes: a batch of `input.spec`, n at least 2.
        input: what the examples are; it is asked for doubts of its own.

    Returns:
        The end of a sentence whose subject is the network, such as "gives features that are not finite".
    """
    features = np.asarray(body(probes, training=False), np.float64)
    if not np.isfinite(features).all():
        return f"gives features that are not finite: {input.MISFIT}"
    if np.ptp(features, axis=0).max() <= 1e-6 * max(np.abs(features).max(), 1e-30):
        return f"gives the same features for every {input.one}: {input.MISFIT}"
    if (features >= 0).all() and np.allclose(features.sum(axis=1), 1.0, atol=1e-3):
        return (
            f"gives probabilities of {features.shape[1]} classes, not a feature vector: choose an earlier layer with "
            "backbone.feature_layer, or the feature-vector variant of the model"
        )
    return input.doubts(body, probes, features)
