"""The ratio from a classifier, against the true one."""

import numpy as np
import pytest
from scipy.stats import norm

from graft.models.ratios import classifier


@pytest.mark.parametrize(("mean", "deviation"), [(0.5, 1.0), (0.0, 0.6)], ids=["moved", "narrowed"])
def test_it_finds_the_ratio_of_two_gaussians(mean, deviation):
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (2000, 1)), rng.normal(mean, deviation, (1500, 1))
    true = norm.pdf(source[:, 0], mean, deviation) / norm.pdf(source[:, 0], 0, 1)
    weights = classifier.estimate(source, target)
    assert np.corrcoef(weights, true)[0, 1] > 0.97
    assert weights.mean() == pytest.approx(1, abs=0.1)


def test_equal_domains_get_weights_near_1():
    rng = np.random.default_rng(1)
    weights = classifier.estimate(rng.normal(size=(1000, 4)), rng.normal(size=(500, 4)))
    assert np.abs(weights - 1).mean() < 0.2


def test_no_row_is_judged_by_a_regression_that_saw_it():
    """Two samples of one domain in as many coordinates as rows: who saw them could tell them apart."""
    rng = np.random.default_rng(2)
    weights = classifier.estimate(rng.normal(size=(40, 40)), rng.normal(size=(40, 40)))
    assert np.median(weights) > 0.2


def test_weights_are_cut():
    rng = np.random.default_rng(3)
    source, target = rng.normal(0, 1, (100, 1)), rng.normal(2.5, 0.2, (100, 1))
    assert classifier.estimate(source, target).max() > 10
    assert classifier.estimate(source, target, 3.0).max() == 3
    assert np.isfinite(classifier.estimate(source, source[:1])).all()
