"""Kernel mean matching: its optimum, its limits, and sources too large for one problem."""

import numpy as np
import pytest
import scipy.optimize

from graft.models.ratios import kmm
from graft.models.ratios.kernel import gaussian, mean_gaussian, median_bandwidth


def rows(count: int, mean: float, deviation: float, seed: int, size: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, (count, size))


def test_rows_of_the_target_domain_count_and_others_do_not():
    source = np.concatenate([rows(50, 0, 0.1, 0), rows(50, 1, 0.1, 1)])
    weights = kmm.estimate(source, rows(100, 0, 0.1, 2))
    assert weights[:50].sum() > 50 and weights[50:].sum() < 0.1


def test_equal_domains_get_weights_of_1():
    same = rows(80, 0, 1, 0, 3)
    np.testing.assert_allclose(kmm.estimate(same, same), 1, atol=1e-3)
    weights = kmm.estimate(same, rows(4000, 0, 1, 1, 3))  # another sample of the same domain
    assert weights.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("most", "shift"), [(1000.0, 0.7), (1.5, 0.7), (1000.0, 3.0)], ids=["free", "cut", "far"])
def test_the_optimum_is_that_of_a_general_solver(most, shift):
    source, target = rows(40, 0, 1, 0), rows(60, shift, 0.5, 1)
    bandwidth = median_bandwidth(source, target)
    kernel = gaussian(source, source, bandwidth)
    matched = len(source) * mean_gaussian(source, target, bandwidth)

    def objective(weights):
        return 0.5 * weights @ kernel @ weights - matched @ weights

    count = len(source)
    slack = count * (np.sqrt(count) - 1) / np.sqrt(count)
    bounded = {"type": "ineq", "fun": lambda w: np.array([w.sum() - count + slack, count + slack - w.sum()])}
    options = {"maxiter": 2000, "ftol": 1e-12}
    theirs = scipy.optimize.minimize(
        objective,
        np.ones(count),
        jac=lambda w: kernel @ w - matched,
        method="SLSQP",
        bounds=[(0, most)] * count,
        constraints=[bounded],
        options=options,
    )
    weights = kmm.match(kernel, matched, most)
    assert weights.min() >= 0 and weights.max() <= most
    assert abs(weights.sum() - count) <= slack + 1e-6
    assert objective(weights) <= theirs.fun + 1e-4 * abs(theirs.fun)


@pytest.mark.parametrize("reached", [0.2, 30.0])
def test_the_bound_on_the_sum_holds_where_the_means_alone_would_break_it(reached):
    kernel, count = np.eye(16), 16
    weights = kmm.match(kernel, np.full(count, reached), 1000.0)  # alone they would all be `reached`
    slack = count * 3 / 4
    np.testing.assert_allclose(weights, (count + np.clip(reached * count - count, -slack, slack)) / count, rtol=1e-4)


def test_a_large_source_is_weighed_to_its_last_row(monkeypatch):
    source, target = rows(301, 0, 1, 0), rows(200, 1, 0.5, 1)
    whole = kmm.estimate(source, target)
    monkeypatch.setattr(kmm, "_BLOCK", 100)
    cut = kmm.estimate(source, target)
    near, far = np.abs(source[:, 0] - 1) < 0.5, source[:, 0] < -0.5
    assert cut[near].mean() > 5 * cut[far].mean()
    assert cut.mean() == pytest.approx(whole.mean(), rel=0.1)
    assert np.corrcoef(cut, whole)[0, 1] > 0.8
    assert (cut > 0).sum() > 0.5 * (whole > 0).sum()
