"""Distances and angles against NumPy loops, and what they do not see."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from graft.models import relations

RNG = np.random.default_rng(0)
STUDENT, TEACHER = RNG.normal(size=(6, 3)).astype(np.float32), RNG.normal(size=(6, 9)).astype(np.float32)
MEASURES = [relations.distances, relations.angles]


def huber(error: float) -> float:
    return 0.5 * error**2 if abs(error) < 1 else abs(error) - 0.5


def slow_distances(features: np.ndarray) -> np.ndarray:
    found = np.array([[np.linalg.norm(a - b) for b in features] for a in features.astype(np.float64)])
    return found / found[found > 0].mean()


def slow_angles(features: np.ndarray) -> np.ndarray:
    count = len(features)
    found = np.zeros((count, count, count))
    for i, j, k in itertools.product(range(count), repeat=3):
        if i != j and k != j:
            one, other = (features[at].astype(np.float64) - features[j] for at in (i, k))
            found[i, j, k] = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    return found


@pytest.mark.parametrize(("measure", "slow"), list(zip(MEASURES, (slow_distances, slow_angles), strict=True)))
def test_it_is_what_a_loop_over_pairs_and_triples_finds(measure, slow):
    for scale in (1.0, 10.0):  # the second one has errors beyond 1
        other = TEACHER * np.float32([scale, *[1.0] * 8])
        errors = (slow(STUDENT) - slow(other)).ravel()
        assert float(measure(STUDENT, other)) == pytest.approx(np.mean([huber(e) for e in errors]), rel=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
def test_moving_turning_and_scaling_a_space_change_nothing(measure):
    turned = np.linalg.qr(RNG.normal(size=(9, 9)))[0]
    other = 7.0 * TEACHER @ turned + 3.0
    assert float(measure(TEACHER, other.astype(np.float32))) == pytest.approx(0.0, abs=1e-6)
    assert float(measure(STUDENT, other.astype(np.float32))) == pytest.approx(
        float(measure(STUDENT, TEACHER)), rel=1e-3
    )
    assert float(measure(STUDENT, TEACHER)) > 0.01


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "features",
    [STUDENT, STUDENT[:1], STUDENT[:0], np.ones((4, 3)), np.repeat(STUDENT[:2], 2, axis=0)],
    ids=["several", "one", "none", "all alike", "twins"],
)
def test_gradients_are_finite(measure, features):
    watched = tf.constant(features, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        loss = measure(watched, TEACHER[: len(features)])
    gradient = tape.gradient(loss, watched)
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    assert (np.abs(gradient).max() > 1e-4) if len(features) > 4 else True
