"""Augmentation: off changes nothing, each option changes what it says, the seed decides."""

import numpy as np
import pytest
import tensorflow as tf

from graft.models.inputs.image import AugmentOptions
from graft.models.inputs.image.augment import augment

IMAGE = tf.constant(np.random.default_rng(0).uniform(-1, 1, (12, 10, 3)), tf.float32)


def run(seed: int, **options) -> np.ndarray:
    return augment(IMAGE, tf.constant([seed, 1]), AugmentOptions(**options), (-1.0, 1.0)).numpy()


def test_nothing_enabled_changes_nothing():
    assert not AugmentOptions().enabled
    np.testing.assert_array_equal(run(3), IMAGE.numpy())


def test_flip_mirrors_about_half_of_the_images():
    mirrored = IMAGE.numpy()[:, ::-1]
    flips = [np.array_equal(run(seed, flip=True), mirrored) for seed in range(40)]
    kept = [np.array_equal(run(seed, flip=True), IMAGE.numpy()) for seed in range(40)]
    assert all(a != b for a, b in zip(flips, kept, strict=True))
    assert 10 <= sum(flips) <= 30


@pytest.mark.parametrize("options", [{"crop": 0.4}, {"rotate": 30.0}, {"color": 0.3}], ids=lambda o: next(iter(o)))
def test_changes_within_the_value_range_and_by_seed(options):
    assert AugmentOptions(**options).enabled
    first, again, other = run(1, **options), run(1, **options), run(2, **options)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - IMAGE.numpy()).max() > 0.01
    assert np.abs(first - other).max() > 0.01
    assert first.shape == (12, 10, 3)
    assert first.min() >= -1
    assert first.max() <= 1


def test_rotation_by_zero_and_crop_of_nothing_keep_the_pixels():
    np.testing.assert_allclose(run(1, rotate=1e-4, crop=1e-6), IMAGE.numpy(), atol=1e-3)


def test_rotation_turns_about_the_centre():
    spot = np.zeros((9, 9, 3), np.float32)
    spot[4, 4] = 1.0
    turned = augment(tf.constant(spot), tf.constant([5, 5]), AugmentOptions(rotate=180.0), (0.0, 1.0)).numpy()
    assert turned[4, 4, 0] == pytest.approx(1.0, abs=0.05)
