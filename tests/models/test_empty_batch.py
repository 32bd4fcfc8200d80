"""A batch of none gets an answer of no rows, whatever the kernels do with it."""

import numpy as np
import pytest
import tensorflow as tf

from graft.models.empty_batch import never_empty

pytestmark = pytest.mark.graph

SPEC = tf.TensorSpec([None, 6, 6, 3], tf.float32)


def refuses_none(images: tf.Tensor) -> tf.Tensor:
    """Twice the sum of an image's pixels; fails where there is no image, as a kernel may."""
    check = tf.debugging.Assert(tf.shape(images)[0] > 0, ["no images"])
    with tf.control_dependencies([check]):
        return 2.0 * tf.reduce_sum(images, axis=[1, 2])


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 6, 6, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eager", "graph", "xla"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_rows_are_those_of_the_images(kind, count):
    def call(images):
        return never_empty(refuses_none, images)

    if kind != "eager":
        call = tf.function(call, input_signature=[SPEC], jit_compile=kind == "xla")
    answer = call(tf.constant(pixels(count)))
    assert answer.shape == (count, 3)
    np.testing.assert_allclose(answer, refuses_none(pixels(count)) if count else np.zeros((0, 3)), rtol=1e-5)


def test_size_known_only_when_run():
    call = tf.function(
        lambda images: never_empty(refuses_none, images), input_signature=[tf.TensorSpec([None, None, None, 3])]
    )
    assert call(pixels(0)).shape == (0, 3) and call(pixels(2)).shape == (2, 3)


def test_gradients_are_those_without_the_detour():
    images = tf.constant(pixels(3))

    @tf.function(input_signature=[SPEC])
    def gradient(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(never_empty(refuses_none, images))
        return tape.gradient(total, images)

    np.testing.assert_array_equal(gradient(images), np.full((3, 6, 6, 3), 2.0))
    assert gradient(images[:0]).shape == (0, 6, 6, 3)
