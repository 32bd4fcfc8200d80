"""Made-up images: nobody's picture is in them."""

import numpy as np
import tensorflow as tf

_SEED = 0  # fixed: the same model exported again has the same bytes, and is not pushed again
_PROBES = 8


def synthetic_images(image_size: tuple[int, int]) -> list[bytes]:
    """Four drawn images, JPEG and PNG in turn, so that both decoders, a batch of one and one of several are made ready.

    Args:
        image_size: (height, width) in pixels.
    """
    rng = np.random.default_rng(_SEED)
    encoders = (tf.io.encode_jpeg, tf.io.encode_png) * 2
    return [encode(rng.integers(0, 256, (*image_size, 3), dtype=np.uint8)).numpy() for encode in encoders]


def coarse_noise(image_size: tuple[int, int], value_range: tuple[float, float]) -> tf.Tensor:
    """Eight images of coarse noise, float32 `[8, height, width, 3]`.

    Args:
        image_size: (height, width) in pixels.
        value_range: the values that stand for black and for white.
    """
    low, high = value_range
    coarse = np.random.default_rng(0).uniform(low, high, (_PROBES, 7, 7, 3)).astype(np.float32)
    return tf.image.resize(coarse, image_size)
