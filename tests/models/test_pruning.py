"""Masks by magnitude, and the schedule of their growth."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.models.pruning import Pruning, largest, scheduled


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.99])
def test_the_smallest_magnitudes_are_dropped(share):
    values = np.random.default_rng(0).normal(size=(4, 25)).astype(np.float32)
    mask = largest(tf.constant(values), tf.constant(share)).numpy()
    count = int(share * 100)
    order = np.argsort(np.abs(values).ravel())
    expected = np.ones(100)
    expected[order[:count]] = 0
    np.testing.assert_array_equal(mask.ravel(), expected)


def test_equal_magnitudes_do_not_change_the_count():
    mask = largest(tf.constant([[1.0, -1.0], [1.0, 0.0], [-1.0, 1.0]]), tf.constant(0.5)).numpy()
    np.testing.assert_array_equal(mask, [[0, 0], [1, 0], [1, 1]])


def test_the_schedule_is_that_of_the_paper():
    found = [float(scheduled(tf.constant(step, tf.int64), 8, 0.8)) for step in range(9)]
    np.testing.assert_allclose(found, [0.8 + (0 - 0.8) * (1 - t / 8) ** 3 for t in range(9)], atol=1e-6)
    assert float(scheduled(tf.constant(0, tf.int64), 0, 0.8)) == pytest.approx(0.8)


def test_what_is_pruned_stays_pruned_while_an_optimizer_moves_the_rest():
    variable = keras.Variable(np.random.default_rng(1).normal(size=(10, 10)).astype(np.float32))
    pruning = Pruning([variable], sparsity=0.9, ramp=6, every=2)
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([variable])
    zero, shares = np.zeros((10, 10), bool), []
    for step in range(12):
        shares.append(float(pruning({}).figures["sparsity"]))
        optimizer.apply([tf.fill([10, 10], float(step % 3 - 1))], [variable])
        now = np.asarray(variable) == 0
        assert np.all(now[zero]), "a pruned weight came back"
        zero = now
    expected = {step: int(100 * 0.9 * (1 - (1 - step / 6) ** 3)) / 100 for step in (0, 2, 4, 6)}
    assert shares == pytest.approx([expected[min(6, step - step % 2)] for step in range(12)])
    assert pruning.zeros() == (90, 100)
    pruning.release()
    optimizer.apply([tf.ones([10, 10])], [variable])
    assert not np.any(np.asarray(variable) == 0)
