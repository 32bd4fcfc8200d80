"""The distance of covariances: its value, its limits, and that both gradients reach what lies below."""

import numpy as np
import pytest
import tensorflow as tf
from shifted import accuracy, draw, mixed, shifted_task

from graft.models.adaptation import representation
from graft.models.transfer import METHODS
from graft.models.transfer.deep_coral import covariance_distance

HEAD = {"hidden": [8], "dropout": 0.0}


def test_it_is_the_closed_form():
    source, target = draw(40, 1)[0], mixed(draw(31, 2)[0])
    difference = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    wanted = (difference**2).sum() / (4 * 6**2)
    assert float(covariance_distance(source, target)) == pytest.approx(wanted, rel=1e-5)


def test_equal_covariances_are_no_distance_and_one_example_is_no_fault():
    source = draw(40, 1)[0]
    assert float(covariance_distance(source, source)) == 0
    assert float(covariance_distance(source, source + 7)) == pytest.approx(0, abs=1e-8)
    assert np.isfinite(float(covariance_distance(source[:1], source[:1] + 1)))


@pytest.mark.parametrize("method", ["deep_coral", "mk_mmd", "dann"])
def test_both_gradients_reach_the_encoder(method):
    task, _ = shifted_task({"method": method, "weight": 1.0}, head=HEAD)
    from graft.models.objectives import supervised
    from graft.models.standard_phases import through_head

    term = METHODS.module(method)._alignment(task, 1.0)
    objective = supervised(task.target, through_head(task), True, terms=[term])
    batches = {
        "target": {"inputs": tf.constant(task.train.features[:40]), "targets": tf.constant(task.train.targets[:40])},
        "unlabelled": {"inputs": tf.constant(task.unlabelled.features[:40])},
    }
    if method == "dann":
        objective(batches)  # at the very start of its schedule nothing is reversed
    with tf.GradientTape(persistent=True) as tape:
        losses = objective(batches).losses
    kernel = task.head.layers[0].kernel.value
    gradients = [tape.gradient(losses[name], kernel) for name in ("loss", method)]
    assert all(float(tf.norm(gradient)) > 1e-4 for gradient in gradients)
    total = tape.gradient(losses[method], task.head.layers[-1].kernel.value)
    assert total is None, "what is aligned lies below the last layer"


def test_the_last_layer_sees_what_is_aligned():
    task, _ = shifted_task({"method": "deep_coral"}, head={"hidden": [8, 5], "dropout": 0.5})
    features = tf.constant(task.train.features[:7])
    seen = representation(task.head, features)
    np.testing.assert_allclose(task.head.layers[-1](seen), task.head(features, training=False), rtol=1e-6)
    linear, _ = shifted_task({"method": "coral"})
    assert representation(linear.head, features) is features


@pytest.mark.slow
def test_a_large_weight_makes_the_covariances_alike():
    distances = {}
    for weight in (0.0, 30.0):
        task, test = shifted_task({"method": "deep_coral", "weight": weight}, head=HEAD)
        METHODS.module("deep_coral").fit(task)
        seen = [representation(task.head, features) for features in (task.train.features, task.unlabelled.features)]
        distances[weight] = float(covariance_distance(*seen))
        assert accuracy(task, test) > 0.8
    assert distances[30.0] < distances[0.0] / 20
