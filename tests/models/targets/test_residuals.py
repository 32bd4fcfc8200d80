"""Intervals of errors, errors by size, and the points of a plot."""

import numpy as np
import pytest

from graft.models.targets import residuals


@pytest.mark.slow
@pytest.mark.parametrize("n", [65, 400])
def test_the_intervals_hold_the_true_error(n):
    """Errors of a standard normal: their mean size is sqrt(2 / pi), the root of their mean square 1, R2 0.8."""
    true = {"mean_absolute_error": (2 / np.pi) ** 0.5, "root_mean_squared_error": 1.0, "r2": 0.8}
    held = dict.fromkeys(true, 0)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 5**0.5, (n, 1))
        drawn = residuals.bootstrap(truth, truth + rng.normal(0, 1, (n, 1)))
        for (name, value), draws in zip(true.items(), drawn, strict=True):
            low, high = residuals.interval(draws[:, 0])
            held[name] += low <= value <= high
    assert all(count / 200 > 0.88 for count in held.values()), held


def test_figures_have_their_intervals_beside_them():
    drawn = np.stack([np.arange(41.0), np.full(41, np.nan), np.full(41, 0.5)])
    told = residuals.figures([20.0, np.nan, 0.5], drawn)
    assert list(told) == [end for name in residuals.NAMES for end in (name, f"{name}_interval")]
    assert list(told.values()) == [20.0, [1.0, 39.0], None, None, 0.5, [0.5, 0.5]]
    with pytest.raises(ValueError, match="zip"):
        residuals.figures([1.0, 2.0], drawn)


def test_sizes_hold_equally_many_examples_and_all_of_them():
    truth = np.arange(95.0)[::-1]
    parts = residuals.by_size(truth, truth + np.where(truth < 50, 1, -3))
    assert sorted({part["count"] for part in parts}) == [9, 10] and sum(part["count"] for part in parts) == 95
    assert (parts[0]["low"], parts[-1]["high"]) == (0, 94)
    assert (parts[0]["mean_absolute_error"], parts[0]["bias"]) == (1, 1)
    assert (parts[-1]["mean_absolute_error"], parts[-1]["bias"]) == (3, -3)
    assert len(residuals.by_size(truth[:3], truth[:3])) == 3


def test_points_are_evenly_over_the_split():
    truth = np.arange(5000.0)
    points = residuals.points(truth, truth + 1)
    assert len(points) == 400 and points[0] == (0, 1) and points[-1] == (4999, 5000)
    assert residuals.points(truth[:0], truth[:0]) == []


def test_nothing_measured_has_no_interval():
    nothing = np.zeros((0, 2))
    drawn = residuals.bootstrap(nothing, nothing)
    assert drawn.shape == (3, 1, 2) and residuals.interval(drawn[0, :, 0]) is None
    assert residuals.known(drawn[0, 0, 0]) is None
