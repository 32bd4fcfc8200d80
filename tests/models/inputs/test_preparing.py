"""One trace for all who prepare alike."""

import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures, texts

from graft.models.inputs.preparing import preparer


@pytest.mark.slow
def test_settings_that_do_not_prepare_share_the_trace():
    first = preparer(pictures((12, 12)))
    assert preparer(pictures((12, 12), max_bytes=10, check_range=False)) is first
    assert preparer(pictures((12, 13))) is not first and preparer(texts()) is not first
    assert preparer(texts(max_bytes=5)) is preparer(texts())


@pytest.mark.slow
@pytest.mark.parametrize("input", [pictures((12, 10), (-1.0, 1.0)), texts()], ids=["image", "text"])
def test_it_prepares_as_the_input_does(input):
    contents = tf.constant(input.drawn())
    np.testing.assert_array_equal(preparer(input)(contents), input.prepare(contents))
    assert preparer(input)(contents[:0]).shape == (0, *input.spec.shape[1:])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def inside(contents):
        return preparer(input)(contents)

    np.testing.assert_array_equal(inside(contents), input.prepare(contents))
