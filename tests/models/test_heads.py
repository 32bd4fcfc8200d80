"""The head's shape, regularisation and reproducibility."""

import keras
import numpy as np
import pytest

from graft.models.heads import build_head
from graft.models.options import HeadOptions


def test_linear_head_has_one_kernel_and_one_bias():
    head = build_head(3, 5, HeadOptions(dropout=0.0, l2=0.0))
    assert [tuple(v.shape) for v in head.trainable_variables] == [(5, 3), (3,)]
    assert head(np.zeros((0, 5), np.float32)).shape == (0, 3)
    assert head.losses == []


def test_hidden_layers_and_l2():
    head = build_head(3, 5, HeadOptions(hidden=[7], dropout=0.0, l2=0.5))
    assert [tuple(v.shape) for v in head.trainable_variables] == [(5, 7), (7,), (7, 3), (3,)]
    squares = sum(float((v.numpy() ** 2).sum()) for v in head.trainable_variables if len(v.shape) == 2)
    assert float(sum(head.losses)) == pytest.approx(0.5 * squares, rel=1e-5)


def test_dropout_acts_in_training_only():
    head = build_head(2, 64, HeadOptions(dropout=0.5))
    inputs = np.ones((4, 64), np.float32)
    assert np.ptp(head(inputs, training=False).numpy(), axis=0).max() < 1e-6
    assert np.ptp(head(inputs, training=True).numpy(), axis=0).max() > 1e-3


def test_same_seed_same_weights_other_seed_others():
    first, again, other = (build_head(3, 5, HeadOptions(hidden=[4]), seed) for seed in (1, 1, 2))
    for a, b in zip(first.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(first.weights, other.weights, strict=True))


def test_head_stays_float32_under_a_mixed_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        head = build_head(2, 4, HeadOptions())
    finally:
        keras.config.set_dtype_policy(before)
    assert head(np.ones((1, 4), np.float32)).dtype == "float32"
