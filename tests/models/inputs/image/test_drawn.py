"""Made-up images."""

import numpy as np
import pytest
import tensorflow as tf

from graft.models.inputs.image.decoding import decode_image
from graft.models.inputs.image.drawn import coarse_noise, synthetic_images


@pytest.mark.parametrize("size", [(8, 8), (16, 40)])
def test_drawn_images_use_both_decoders_and_are_the_same_each_time(size):
    images = synthetic_images(size)
    assert [image[:4] for image in images] == [b"\xff\xd8\xff\xe0", b"\x89PNG"] * 2
    pixels = [decode_image(tf.constant(image)).numpy() for image in images]
    assert {image.shape for image in pixels} == {(*size, 3)}
    assert not np.array_equal(pixels[1], pixels[3])
    assert synthetic_images(size) == images


def test_noise_fills_the_value_range():
    noise = coarse_noise((20, 30), (-1.0, 3.0)).numpy()
    assert noise.shape == (8, 20, 30, 3) and -1.0 <= noise.min() < -0.5 and 2.5 < noise.max() <= 3.0
