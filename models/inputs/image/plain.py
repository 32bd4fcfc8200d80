"""Images as rows of pixels: what references learn from in place of features."""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import tensorflow as tf

from graft.models import memory
from graft.models.inputs.base import Contents
from graft.models.inputs.image.decoding import preprocess

_FEWER = "the number of images, or leave raw out of gates.negative_transfer.references"
_LARGEST_SIDE = 32
_PIXEL_BYTES = 512 * 2**20


def raw_pixels(splits: Mapping[str, Contents], image_size: tuple[int, int], stage: str) -> dict[str, np.ndarray]:
    """The splits' images as rows of pixels in [0, 1], small enough to stay in memory.

    Images are resized to `image_size`, or to 32x32 where that is larger, or to 16x16 or 8x8 where the rows would take
    more than 512 MiB. Grey images keep one channel.

    Args:
        splits: encoded images by split.
        image_size: (height, width) that the backbone takes, pixels.
        stage: whose work it is.

    Returns:
        float32 [n, pixels] by split.

    Raises:
        GraftError: the rows do not fit into memory.
    """
    count = sum(len(contents) for contents in splits.values())
    side = _LARGEST_SIDE
    while side > 8 and count * side * side * 3 * 4 > _PIXEL_BYTES:
        side //= 2
    height, width = image_size
    size = (min(height, side), min(width, side))
    largest = max(len(contents) for contents in splits.values())
    # All rows, and the largest split a second time where grey is told from colour: exact, before the rows are grey.
    memory.require(12 * size[0] * size[1] * (count + largest), stage, f"{count} images as rows of pixels", _FEWER)
    ends = np.cumsum([len(contents) for contents in splits.values()])
    pixels = dict(zip(splits, np.split(_pixels(splits.values(), count, size), ends[:-1]), strict=True))
    if all((rows == rows[..., :1]).all() for rows in pixels.values()):
        pixels = {name: rows[..., :1] for name, rows in pixels.items()}
    return {
        name: np.ascontiguousarray(rows.reshape(len(rows), math.prod(rows.shape[1:]))) for name, rows in pixels.items()
    }


def _pixels(splits: Iterable[Contents], count: int, size: tuple[int, int]) -> np.ndarray:
    """float32 [count, height, width, 3], split after split; images are decoded side by side."""
    encoded = tf.data.Dataset.from_generator(
        lambda: itertools.chain.from_iterable(splits), output_signature=tf.TensorSpec([], tf.string)
    )
    images = encoded.map(_decoder(size), tf.data.AUTOTUNE, deterministic=True)
    rows = np.empty((count, *size, 3), np.float32)
    for place, image in enumerate(images.as_numpy_iterator()):
        rows[place] = image
    return rows


@functools.cache
def _decoder(size: tuple[int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """One image's pixels; traced once a process, which takes longer than to decode a thousand small images."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return preprocess(encoded[None], size, (0.0, 1.0))[0]

    return decode.get_concrete_function()
