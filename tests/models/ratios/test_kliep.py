"""KLIEP: its constraint, its optimum, and the bandwidth it chooses."""

import numpy as np
import pytest
import scipy.optimize
from scipy.stats import norm

from graft.models.errors import GraftError
from graft.models.ratios import kliep


@pytest.fixture(scope="module")
def shifted():
    """A source, a target and the true ratio at the source's rows."""
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 1, (400, 1)), rng.normal(0.8, 0.6, (300, 1))
    return source, target, norm.pdf(source[:, 0], 0.8, 0.6) / norm.pdf(source[:, 0], 0, 1)


@pytest.mark.slow
def test_the_mean_weight_is_1_and_none_is_negative(shifted):
    source, target, _ = shifted
    weights = kliep.estimate(source, target)
    assert weights.mean() == pytest.approx(1, abs=1e-9) and weights.min() >= 0
    assert kliep.estimate(source, target, 1.5).max() == 1.5


def test_it_finds_the_ratio_of_two_gaussians(shifted):
    source, target, true = shifted
    weights = kliep.estimate(source, target)
    assert np.corrcoef(weights, true)[0, 1] > 0.95
    assert np.abs(weights - true).mean() < 0.3 * np.abs(1 - true).mean()


@pytest.mark.slow
def test_equal_domains_get_weights_near_1():
    rng = np.random.default_rng(1)
    weights = kliep.estimate(rng.normal(size=(500, 2)), rng.normal(size=(500, 2)))
    assert np.abs(weights - 1).mean() < 0.2


def test_the_shares_are_the_optimum_of_the_papers_problem(shifted, monkeypatch):
    source, target, _ = shifted
    monkeypatch.setattr(kliep, "CENTRES", 8)
    monkeypatch.setattr(kliep, "_ITERATIONS", 20_000)
    monkeypatch.setattr(kliep, "_GAIN", 1e-12)
    fitted = kliep._Fitted(source, target, 0.5)
    shares = fitted.shares(fitted.kernels)
    assert shares.sum() == pytest.approx(1) and shares.min() >= 0

    def objective(found):
        return -float(np.log(fitted.kernels @ found).mean())

    count = len(shares)
    theirs = scipy.optimize.minimize(
        objective,
        np.full(count, 1 / count),
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints=[{"type": "eq", "fun": lambda found: found.sum() - 1}],
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert objective(shares) <= theirs.fun + 1e-5


def test_a_target_of_one_row_is_weighed_too(shifted):
    source, *_ = shifted
    weights = kliep.estimate(source, np.array([[1.0]]))
    assert source[np.argmax(weights), 0] == pytest.approx(1, abs=0.1)


def test_a_gap_between_the_domains_gives_weights_that_are_finite():
    source, target = np.zeros((50, 1)), np.full((50, 1), 1.0)
    target[1:] += 1e-3 * np.arange(49)[:, None]
    source[1:] -= 1e-3 * np.arange(49)[:, None]
    weights = kliep.estimate(source, target)
    assert np.isfinite(weights).all() and weights.mean() == pytest.approx(1)


def test_rows_beyond_every_bandwidth_are_refused(monkeypatch):
    monkeypatch.setattr(kliep, "BANDWIDTHS", (1e-3,))
    with pytest.raises(GraftError, match=r"transfer\.estimator: kliep finds no example .* do not overlap\. Choose"):
        kliep.estimate(np.zeros((5, 1)), np.ones((5, 1)))
