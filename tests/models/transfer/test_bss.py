"""BSS: the sum against NumPy's singular values, its gradient, and its limits in a training."""

import numpy as np
import pytest
import tensorflow as tf
from test_loop import fit

from graft.models.transfer.bss import weakest_directions


def features(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (5, 5), (1, 4)])
@pytest.mark.parametrize("k", [1, 3, 100])
def test_it_is_the_sum_of_the_smallest_squared_singular_values(shape, k):
    batch = features(*shape)
    values = np.linalg.svd(batch.astype(np.float64), compute_uv=False)[::-1]
    assert float(weakest_directions(tf.constant(batch), k)) == pytest.approx(np.sum(values[:k] ** 2), rel=1e-4)


@pytest.mark.parametrize("shape", [(6, 11), (11, 6)])
def test_its_gradient_is_that_of_the_singular_values(shape):
    """d s_i^2 / dF = 2 s_i u_i v_i^T."""
    batch = features(*shape)
    with tf.GradientTape() as tape:
        watched = tf.constant(batch)
        tape.watch(watched)
        loss = weakest_directions(watched, 2)
    left, values, right = np.linalg.svd(batch.astype(np.float64), full_matrices=False)
    expected = sum(2 * values[i] * np.outer(left[:, i], right[i]) for i in (-1, -2))
    np.testing.assert_allclose(tape.gradient(loss, watched), expected, atol=1e-4)


@pytest.mark.parametrize(
    "batch",
    [np.zeros((4, 9)), np.ones((4, 9)), np.eye(6), np.repeat(features(2, 9), 3, axis=0), 1e-20 * features(4, 3)],
    ids=["nothing", "one direction", "equal values", "twins", "tiny"],
)
def test_equal_values_and_fewer_examples_than_features_give_finite_gradients(batch):
    """Where two singular values are equal their vectors are anybody's, and their derivative is infinite."""
    with tf.GradientTape() as tape:
        watched = tf.constant(batch, tf.float32)
        tape.watch(watched)
        loss = weakest_directions(watched, 2)
    assert np.isfinite(loss) and np.isfinite(tape.gradient(loss, watched)).all()


@pytest.mark.slow
def test_weight_0_is_fine_tuning_bit_for_bit(is_fine_tuning):
    is_fine_tuning({"method": "bss", "weight": 0.0}, {"weakest_directions"})


@pytest.mark.slow
def test_a_weight_lets_the_weakest_directions_fade(training_input):
    ended = []
    for weight in (0.0, 1.0):
        method = {"method": "bss", "weight": weight, "k": 4, "epochs": 3, "head_epochs": 1, "learning_rate": 1e-2}
        ended.append(fit(training_input.task(method)).epochs[-1]["weakest_directions"])
    assert ended[1] < 0.5 * ended[0]
