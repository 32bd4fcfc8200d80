"""Networks that are fed pixels of the right range and of a wrong one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures

from graft.models.probe import find_fault as find_fault_of

pytestmark = pytest.mark.graph


def network(scale: float = 1.0, learned: bool = True, seed: int = 0, contrast: float = 1.0) -> keras.Model:
    """Four convolutions with batch normalisation, whose statistics fit noise in [0, 1 / scale] of this contrast."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((16, 16, 3))
    hidden = keras.layers.Rescaling(scale)(images)
    for _ in range(4):
        hidden = keras.layers.Conv2D(16, 3)(hidden)  # unpadded: a black border would be the strongest contrast
        hidden = keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-6)(hidden)
        hidden = keras.layers.ReLU()(hidden)
    model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(hidden))
    if learned:
        model(noise(1 / scale, count=64, contrast=contrast), training=True)
    return model


def find_fault(model: keras.Model, images: tf.Tensor, **options) -> str | None:
    return find_fault_of(model, images, pictures((16, 16), **options))


def noise(high: float, count: int = 8, contrast: float = 1.0) -> tf.Tensor:
    """Noise around the middle grey; with contrast 1 it takes the whole range from 0 to `high`."""
    coarse = high * (0.5 + contrast * np.random.default_rng(0).uniform(-0.5, 0.5, (count, 4, 4, 3)))
    return tf.image.resize(coarse.astype(np.float32), (16, 16))


def test_range_that_fits():
    assert find_fault(network(), noise(1)) is None
    assert find_fault(network(1 / 255), noise(255)) is None


def test_range_too_wide_and_too_narrow():
    assert "narrower value range" in find_fault(network(), noise(255))
    assert "wider value range" in find_fault(network(1 / 255), noise(1))


def test_a_network_for_low_contrast_is_judged_by_such_images():
    """X-rays or a microscope's fields: noise is as foreign to it as a wrong value range."""
    model = network(contrast=0.04)
    assert find_fault(model, noise(1, contrast=0.04)) is None
    assert "narrower value range" in find_fault(model, noise(1))
    assert "narrower value range" in find_fault(model, noise(255, contrast=0.04))
    assert "wider value range" in find_fault(network(1 / 255, contrast=0.04), noise(1, contrast=0.04))


def test_the_range_is_not_judged_where_the_user_knows_better():
    assert find_fault(network(), noise(255), check_range=False) is None
    assert "not finite" in find_fault(network(), noise(np.inf), check_range=False)


def test_untrained_statistics_are_not_judged():
    assert find_fault(network(learned=False), noise(255)) is None


def test_the_network_is_left_as_it_was():
    model = network()
    model.layers[2].trainable = False
    flags, values = [v.trainable for v in model.variables], [v.numpy() for v in model.variables]
    find_fault(model, noise(1))
    assert [v.trainable for v in model.variables] == flags and not model.layers[2].trainable
    for value, variable in zip(values, model.variables, strict=True):
        np.testing.assert_array_equal(variable, value)
