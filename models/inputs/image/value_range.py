"""Whether a network is fed pixels within the value range that it learned from, judged from a few images.

It is judged by batch normalisation. Normalised by these images, instead of by the statistics it stored, a
network behaves as it does on its own pixels. If its features are much larger without that, the pixels lie too far
apart; if they hardly differ between images, too close together. This tells [0, 1] from [0, 255], but not from [-1, 1].

The images must be such as the network is for: one that learned from low contrast gives far too large features for
noise. Measured with an ImageNet MobileNetV2 made for [0, 1] on eight photos, digits or clothes, features are 0.9 to 1.1
times as large and differ 0.4 to 0.9 times as much; on images of a sixth of the contrast 0.4 and 0.04. Fed with
[0, 255] they are 36 to 83 times as large; made for [0, 255] and fed with [0, 1] they differ 0.012 to 0.020 times as
much. Networks without learned batch statistics are not judged.
"""

import keras
import numpy as np
import tensorflow as tf

from graft.models.batch_statistics import STATISTIC

_LARGEST_SIZE = 8.0
_SMALLEST_SPREAD = 0.03
_TRUST = " (input.check_range: false, if you know better)"


def find_misfit(body: keras.layers.Layer, images: tf.Tensor, features: np.ndarray) -> str | None:
    """What tells that the value range is another than the network's, or None.

    Args:
        body: a network from `images` to `[n, d]`; left as it is.
        images: float32 `[n, height, width, 3]`, n at least 2.
        features: what it gives for them, float64 `[n, d]`.

    Returns:
        The end of a sentence whose subject is the network, such as "hardly tells images apart".
    """
    if not _has_learned_statistics(body):
        return None
    normalised = _features_in_training(body, images)
    size = np.sqrt(np.mean(features**2) / max(np.mean(normalised**2), 1e-30))
    spread = features.std(axis=0).mean() / max(normalised.std(axis=0).mean(), 1e-30)
    # The spread first: where contrast is low, pixels far too close together are also far from the mean that it learned.
    if spread < _SMALLEST_SPREAD:
        return (
            f"hardly tells images apart ({spread:.1%} of the spread to expect): the network takes a wider value range"
            f"{_TRUST}"
        )
    if size > _LARGEST_SIZE:
        return f"gives features {size:.0f} times too large: the network takes a narrower value range{_TRUST}"
    return None


def _has_learned_statistics(body: keras.layers.Layer) -> bool:
    statistics = [variable for variable in body.variables if STATISTIC.search(variable.name)]
    can_train = getattr(body, "can_train", True) and getattr(body, "has_training_trace", True)
    return can_train and any(
        np.any(np.asarray(variable) != float(variable.name.endswith("variance"))) for variable in statistics
    )


def _features_in_training(body: keras.layers.Layer, images: tf.Tensor) -> np.ndarray:
    """Features of a call in training, with all that such a call changes put back.

    Layers that their publisher froze take part too: normalised or not, they are judged by what they pass on.
    """
    states = [(layer, layer.trainable) for layer in body._flatten_layers()]
    flags = [(variable, variable.trainable) for variable in body.variables]
    values = [(variable, variable.numpy()) for variable in body.variables]
    try:
        for layer, _ in states:
            type(layer).trainable.fset(layer, True)
        return np.asarray(body(images, training=True), np.float64)
    finally:
        for layer, state in states:
            type(layer).trainable.fset(layer, state)
        for variable, flag in flags:
            variable.trainable = flag
        for variable, value in values:
            variable.assign(value)
