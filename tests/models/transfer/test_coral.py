"""Linear CORAL and standardisation by domain: closed forms, limits, what they gain and what they cannot."""

import numpy as np
import pytest
import scipy.linalg
from shifted import accuracy, draw, inverted, mixed, scaled, shifted_task

from graft.models.adaptation import moments
from graft.models.errors import GraftError
from graft.models.outputs import trained_outputs
from graft.models.transfer import METHODS, frozen
from graft.models.transfer.coral import recolouring

BOTH = pytest.mark.parametrize("method", ["coral", "standardise"])


def fit(task):
    return METHODS.module(task.options.method).fit(task)


def test_recolouring_is_the_closed_form():
    source, target = (np.cov(features, rowvar=False) for features in (draw(200, 1)[0], mixed(draw(200, 2)[0])))
    added = 0.3 * (np.trace(source) + np.trace(target)) / 12 * np.eye(6)
    wanted = scipy.linalg.inv(scipy.linalg.sqrtm(source + added)) @ scipy.linalg.sqrtm(target + added)
    np.testing.assert_allclose(recolouring(source, target, 0.3), wanted, rtol=1e-8, atol=1e-9)


def test_the_source_takes_on_the_targets_covariance_as_epsilon_vanishes():
    source, target = (np.cov(features, rowvar=False) for features in (draw(200, 1)[0], mixed(draw(200, 2)[0])))
    matrix = recolouring(source, target, 1e-9)
    np.testing.assert_allclose(matrix.T @ source @ matrix, target, rtol=1e-5, atol=1e-5)


def test_equal_covariances_are_left_alone():
    covariance = np.cov(draw(200, 1)[0], rowvar=False)
    np.testing.assert_allclose(recolouring(covariance, covariance, 0.1), np.eye(6), atol=1e-10)
    nothing = np.zeros((6, 6))
    np.testing.assert_array_equal(recolouring(nothing, nothing, 0.1), np.eye(6))


def test_moments_of_many_rows_are_those_of_numpy():
    features = np.random.default_rng(0).normal(size=(9000, 4)).astype(np.float32) + 100
    mean, covariance = moments(features)
    np.testing.assert_allclose(mean, features.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(covariance, np.cov(features, rowvar=False), rtol=1e-5, atol=1e-6)


@BOTH
def test_one_domain_twice_is_the_frozen_method(method):
    task, test = shifted_task({"method": method}, move=lambda features: features, counts=(240, 120, 240))
    task.unlabelled = task.train
    alone, _ = shifted_task({"method": "frozen"}, move=lambda features: features)
    fit(task)
    frozen.fit(alone)
    kernels = [one.head.layers[-1].kernel.numpy() for one in (task, alone)]
    np.testing.assert_allclose(*kernels, atol=2e-3 * np.abs(kernels[1]).max())
    assert accuracy(task, test) == accuracy(alone, test)


def test_standardised_features_have_the_targets_moments():
    task, _ = shifted_task({"method": "standardise"}, scaled)
    fit(task)
    ours, theirs = task.train.features[:], task.unlabelled.features
    np.testing.assert_allclose(ours.mean(0), theirs.mean(0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(ours.std(0, ddof=1), theirs.std(0, ddof=1), rtol=1e-4)


def test_a_constant_feature_is_only_moved():
    task, _ = shifted_task({"method": "standardise"}, scaled)
    task.train.features[:, 0] = 2.0
    fit(task)
    np.testing.assert_allclose(task.train.features[:][:, 0], task.unlabelled.features[:, 0].mean(), rtol=1e-5)


@pytest.mark.parametrize(("method", "move"), [("coral", mixed), ("coral", scaled), ("standardise", scaled)])
def test_a_moved_domain_is_answered_as_the_source_is(method, move):
    task, test = shifted_task({"method": method}, move)
    alone, _ = shifted_task({"method": "frozen"}, move)
    history = fit(task)
    frozen.fit(alone)
    assert accuracy(alone, test) < 0.7 < 0.9 < accuracy(task, test)
    before, after = (finding.value for finding in history.findings)
    assert [finding.name for finding in history.findings] == ["domain distance", "domain distance after"]
    assert before > 1.5 > 0.6 > after
    # What eval says is of the same head on the same kind of features.
    answers = trained_outputs(task, task.eval).argmax(1)
    assert history.best["val_accuracy"] == pytest.approx((answers == task.eval.targets).mean())


@BOTH
def test_shuffled_labels_of_the_source_stop_the_run(method):
    task, _ = shifted_task({"method": method}, shuffled=True, counts=(240, 600, 240))
    with pytest.raises(GraftError, match=r"collapsed: on eval examples of the source domain the accuracy is .* looks"):
        fit(task)


@BOTH
def test_an_inverted_domain_is_the_limit(method):
    task, test = shifted_task({"method": method}, inverted)
    before = accuracy(shifted_task({"method": method}, inverted)[0], test)
    fit(task)
    assert accuracy(task, test) < 0.6, before


@BOTH
def test_one_class_for_all_of_the_target_stops_the_run(method):
    task, _ = shifted_task({"method": method}, move=lambda features: 1e-3 * draw(len(features), 3)[0][:, ::-1] + 50)
    task.unlabelled.features[:] = np.random.default_rng(0).normal(size=task.unlabelled.features.shape) * 1e-4
    task.unlabelled.features[0] = 1000  # what spreads the domain lies far away
    message = r"collapsed: .* of the target domain's examples are given class '[abc]', which 33.3% of the source's have"
    with pytest.raises(GraftError, match=message):
        fit(task)
    anything, _ = shifted_task({"method": method, "most_of_one": 1.0})
    anything.unlabelled.features[:] = task.unlabelled.features
    fit(anything)


@BOTH
def test_features_that_are_no_numbers_are_refused(method):
    task, _ = shifted_task({"method": method})
    task.unlabelled.features[3, 3] = np.nan
    with pytest.raises(GraftError, match="features are not finite numbers; no domain can be adapted on them"):
        fit(task)
    task, _ = shifted_task({"method": method}, counts=(240, 120, 1))
    with pytest.raises(GraftError, match="statistics of a domain need at least 2 examples; received 1"):
        fit(task)
