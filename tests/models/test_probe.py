"""Networks that give no feature vectors."""

import keras
import pytest
import tensorflow as tf
from small_inputs import pictures, texts

from graft.models.probe import find_fault

pytestmark = pytest.mark.graph


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: keras.ops.mean(x, axis=(1, 2)) / 0.0, "not finite"),
        (lambda x: keras.ops.mean(x, axis=(1, 2)) * 0.0 + 3.0, "same features"),
        (lambda x: keras.ops.softmax(keras.ops.mean(x, axis=(1, 2))), "probabilities of 3 classes"),
    ],
)
def test_features_that_are_none(function, message):
    noise = tf.random.stateless_uniform((8, 16, 16, 3), [0, 0])
    images = keras.Input((16, 16, 3))
    assert message in find_fault(keras.Model(images, function(images)), noise, pictures((16, 16)))


def test_texts_have_words_of_their_own_for_it():
    strings = keras.Input((), dtype="string")
    body = keras.Model(
        strings, keras.layers.Lambda(lambda x: tf.zeros([tf.shape(x)[0], 4]), output_shape=(4,))(strings)
    )
    fault = find_fault(body, texts().probes([]), texts())
    assert fault == "gives the same features for every text: it was not made for such texts"
