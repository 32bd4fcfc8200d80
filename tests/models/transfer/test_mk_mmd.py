"""The distance of distributions: its value, its limits, and what it gains where features have other units."""

import numpy as np
import pytest
import tensorflow as tf
from shifted import accuracy, draw, inverted, mixed, scaled, shifted_task
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from graft.models.adaptation import representation
from graft.models.transfer import METHODS
from graft.models.transfer.mk_mmd import squared_mmd

HEAD = {"hidden": [16], "dropout": 0.0}


def fit(task):
    return METHODS.module("mk_mmd").fit(task)


def test_it_is_the_sum_over_five_kernels():
    source, target = draw(20, 1)[0], mixed(draw(31, 2)[0])
    both = np.concatenate([source, target]).astype(np.float64)
    mean = (euclidean_distances(both) ** 2).mean()
    wanted = 0.0
    for power in (-3, -2, -1, 0, 1):
        kernel = rbf_kernel(both, gamma=1 / (2 * 2.0**power * mean))
        wanted += kernel[:20, :20].mean() + kernel[20:, 20:].mean() - 2 * kernel[:20, 20:].mean()
    assert float(squared_mmd(source, target)) == pytest.approx(wanted, rel=1e-4)


def test_equal_samples_have_no_distance_and_no_samples_less():
    source = draw(30, 1)[0]
    assert float(squared_mmd(source, source)) == pytest.approx(0, abs=1e-5)
    assert float(squared_mmd(source[:1] * 0, source[:1] * 0)) == 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        samples = (rng.normal(size=(rng.integers(1, 9), 3)).astype(np.float32) for _ in range(2))
        assert float(squared_mmd(*samples)) > -1e-5


def test_no_gradient_goes_through_the_width_of_the_kernels():
    """At twice the scale the distance is the same; its gradient would then be orthogonal to the scale."""
    source, target = (tf.constant(features) for features in (draw(20, 1)[0], mixed(draw(20, 2)[0])))
    scale = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        distance = squared_mmd(scale * source, scale * target)
    assert float(squared_mmd(2 * source, 2 * target)) == pytest.approx(float(distance), rel=1e-4)
    assert abs(float(tape.gradient(distance, scale))) > 1e-2


@pytest.mark.slow
def test_it_finds_the_way_to_other_units_and_draws_the_domains_together():
    task, test = shifted_task({"method": "mk_mmd", "weight": 1.0}, scaled, HEAD)
    alone, _ = shifted_task({"method": "frozen"}, scaled, HEAD)
    history = fit(task)
    METHODS.module("frozen").fit(alone)
    assert accuracy(task, test) > accuracy(alone, test) + 0.15
    assert history.monitor == "val_objective" and history.best["val_objective"] == pytest.approx(
        history.best["val_loss"] + history.best["val_mk_mmd"], rel=1e-5
    )
    distances = [
        float(squared_mmd(*(representation(one.head, split.features) for split in (task.train, task.unlabelled))))
        for one in (alone, task)
    ]
    assert distances[1] < distances[0] / 3


@pytest.mark.slow
def test_an_inverted_target_is_the_limit():
    task, test = shifted_task({"method": "mk_mmd", "weight": 1.0, "most_of_one": 1.0}, inverted, HEAD)
    fit(task)
    assert accuracy(task, test) < 0.6
