"""LogME: the largest evidence, by a reference that knows nothing of the fixed point, and its limits."""

import math

import numpy as np
import pytest
import ranking_samples as samples
import scipy.optimize

from graft.models import ranking
from graft.models.ranking.sample import Sample


def reference(features: np.ndarray, column: np.ndarray) -> float:
    """max over a, b of log N(y | 0, I / b + F F' / a) / n: the same evidence, by the covariance of the targets."""
    features = features / np.sqrt((features**2).mean())
    count = len(column)

    def lost(logs: np.ndarray) -> float:
        prior, noise = np.exp(logs)
        covariance = np.eye(count) / noise + features @ features.T / prior
        _, determinant = np.linalg.slogdet(covariance)
        quadratic = column @ np.linalg.solve(covariance, column)
        return 0.5 * (determinant + quadratic + count * math.log(2 * math.pi)) / count

    bounds = [(-15, 15)] * 2
    found = [scipy.optimize.minimize(lost, start, bounds=bounds) for start in ((0, 0), (3, 1), (-3, 3))]
    return -min(one.fun for one in found)


@pytest.mark.slow
@pytest.mark.parametrize("width", (5, 30, 90))
def test_it_is_the_largest_evidence_also_with_more_features_than_examples(width):
    rng = np.random.default_rng(width)
    features = rng.normal(size=(40, width)) * rng.uniform(0.2, 3, width)
    column = features @ rng.normal(size=width) / math.sqrt(width) + rng.normal(size=40)
    column = (column - column.mean()) / column.std()
    found = ranking.measure("logme", Sample(features, column[:, None], "numbers"))
    assert found == pytest.approx(reference(features, column), abs=1e-4)


@pytest.mark.slow
def test_of_classes_it_is_the_mean_over_their_columns():
    sample = samples.between(count=40)
    expected = np.mean([reference(sample.features, column) for column in np.eye(4)[sample.targets].T])
    assert ranking.measure("logme", sample) == pytest.approx(expected, abs=1e-4)


def test_the_limit_of_features_that_say_nothing():
    # The best prior lets the weights be 0: then y ~ N(0, 1 / b), whose best b = n / |y|^2 has the log evidence
    # -1/2 log(2 pi e |y|^2 / n) of an example. A few directions of chance add about d / n at most.
    rng = np.random.default_rng(0)
    sample = Sample(rng.normal(size=(4000, 3)), rng.normal(size=(4000, 1)), "numbers")
    assert ranking.measure("logme", sample) == pytest.approx(-0.5 * math.log(2 * math.pi * math.e), abs=0.005)


@pytest.mark.parametrize("noise", (0.3, 0.03, 0.003))
def test_the_limit_of_features_that_say_all_but_noise(noise):
    # Of many examples the weights are known, and what is left is the noise: -1/2 log(2 pi e s^2), s its share of the
    # target's standard deviation. What the weights cost is d/2 log(n) / n.
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5000, 4))
    features -= features.mean(axis=0)  # there is no intercept
    column = features @ np.ones(4) / 2 + noise * rng.normal(size=5000)
    column -= column.mean()
    share = noise / column.std()
    found = ranking.measure("logme", Sample(features, column[:, None], "numbers"))
    assert found == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * share**2), abs=0.02)


def test_an_exact_fit_is_finite_and_above_all_else():
    features = np.random.default_rng(0).normal(size=(50, 3))
    features -= features.mean(axis=0)
    exact = Sample(features, features @ np.ones((3, 1)), "numbers")
    assert 5 < ranking.measure("logme", exact) < 20
    assert ranking.measure("logme", samples.perfect(spread=0)) > ranking.measure("logme", samples.perfect())
