"""What all estimators of a ratio have in common: covariate shift, effective sample size, few coordinates."""

import numpy as np
import pytest
from scipy.stats import norm

from graft.models.arrays import Picked
from graft.models.ratios import ESTIMATORS, truncation
from graft.models.ratios.kernel import gaussian, mean_gaussian, median_bandwidth, spread
from graft.models.ratios.reduce import reduced
from graft.models.ratios.sample_size import effective


def test_effective_sample_size_has_its_limits():
    assert effective(np.full(7, 3.0)) == pytest.approx(7)
    assert effective(np.array([0.0, 5.0, 0.0])) == pytest.approx(1)
    assert effective(np.zeros(3)) == 0


def error(weights: np.ndarray, source: np.ndarray, told: np.ndarray, target: np.ndarray) -> float:
    """Mean squared error on the target of a line fitted to the source under weights."""
    design, roots = np.c_[source, np.ones(len(source))], np.sqrt(weights)
    line = np.linalg.lstsq(design * roots[:, None], told * roots, rcond=None)[0]
    return float(np.mean((np.c_[target, np.ones(len(target))] @ line - np.sinc(target[:, 0])) ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_line_fitted_under_the_weights_fits_where_the_target_lies(name):
    """y = sinc(x), x ~ N(1, 0.5) in the source and N(2, 0.25) in the target; with weights of 1 the line misses it."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        source, target = rng.normal(1, 0.5, (300, 1)), rng.normal(2, 0.25, (300, 1))
        told = np.sinc(source[:, 0]) + rng.normal(0, 0.1, 300)
        weights = ESTIMATORS.module(name).estimate(source, target, truncation(300))
        assert error(weights, source, told, target) < error(np.ones(300), source, told, target) / 20
        true = norm.pdf(source[:, 0], 2, 0.25) / norm.pdf(source[:, 0], 1, 0.5)
        assert effective(true) / 4 < effective(weights) < 4 * effective(true) < 150


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_row_at_the_edge_of_the_source_takes_all_the_weight(name):
    """The target lies beyond all rows of the source but one."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 0.3, (400, 1)), rng.normal(2.5, 0.3, (200, 1))
    source[7] = 2.0
    weights = ESTIMATORS.module(name).estimate(source, target, truncation(400))
    assert weights.argmax() == 7 and weights.max() <= 20


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_rows_give_the_same_weights(name):
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (90, 3)), rng.normal(0.3, 1, (60, 3))
    found = [ESTIMATORS.module(name).estimate(source.copy(), target.copy(), 1000.0) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    assert found[0].shape == (90,) and found[0].min() >= 0


def test_the_kernel_and_its_bandwidth():
    rows = np.array([[0.0], [1.0], [3.0]])
    assert median_bandwidth(rows[:1], rows[1:]) == 2
    assert median_bandwidth(np.zeros((4, 2)), np.zeros((3, 2))) == 1
    found = gaussian(rows, rows, 2.0)
    np.testing.assert_allclose(found[0], [1, np.exp(-1 / 8), np.exp(-9 / 8)])
    np.testing.assert_allclose(mean_gaussian(rows, rows, 2.0), found.mean(axis=1))
    np.testing.assert_array_equal(spread(np.arange(10), 4), [0, 3, 6, 9])
    np.testing.assert_array_equal(spread(np.arange(3), 4), [0, 1, 2])


def test_few_features_keep_their_meaning_and_lose_their_scale():
    rng = np.random.default_rng(0)
    source = rng.normal(size=(200, 3)) * [1, 1000, 0] + [0, 5, 7]
    target = source[:150] + np.array([1, 0, 0])
    first, second = reduced(source, target, 4)
    assert first.shape == (200, 2) and second.shape == (150, 2), "a constant feature is left out"
    assert 0.5 < first[:, 1].std() < 2
    np.testing.assert_allclose(second[:, 1], first[:150, 1])
    assert (second[:, 0] - first[:150, 0]).min() > 0.5


def test_of_many_features_the_components_with_the_shift_are_kept():
    rng = np.random.default_rng(0)
    hidden = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(40, 2)) + np.array([3, 0])])
    rows = hidden @ rng.normal(size=(2, 64)) + rng.normal(size=(340, 64))
    whole = rows.astype(np.float32)
    source, target = reduced(Picked(whole, np.arange(300)), Picked(whole, np.arange(300, 340)), 2)
    assert source.shape == (300, 2) and target.shape == (40, 2)
    gap = np.linalg.norm(source.mean(axis=0) - target.mean(axis=0))
    assert gap > 1.5 * np.sqrt(source.var(axis=0).mean() + target.var(axis=0).mean()) / np.sqrt(2)
