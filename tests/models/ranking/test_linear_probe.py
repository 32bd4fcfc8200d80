"""The linear probe: beside scikit-learn's logistic regression, its limits, and that no answer was learned from."""

import numpy as np
import pytest
import ranking_samples as samples
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict, cross_val_score

from graft.models import ranking
from graft.models.ranking.sample import Sample


def test_as_good_as_scikit_learn_with_a_strength_of_its_own_choice():
    sample = samples.between(count=400)
    expected = cross_val_score(LogisticRegressionCV(cv=3), sample.features, sample.targets, cv=4).mean()
    assert ranking.measure("probe", sample) == pytest.approx(expected, abs=0.03)


def test_numbers_as_ridge_regression():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 10))
    numbers = features @ rng.normal(size=(10, 2)) + rng.normal(size=(300, 2))
    answers = cross_val_predict(RidgeCV(), features, numbers, cv=4)
    found = ranking.measure("probe", Sample(features, numbers, "numbers"))
    assert found == pytest.approx(r2_score(numbers, answers), abs=0.01)


def test_limits():
    assert ranking.measure("probe", samples.perfect()) == 1
    # Chance is 1 / 4 with a standard deviation of .014 over 1000 examples; answers that had been learned from would be
    # above it, the more the more features there are.
    assert ranking.measure("probe", samples.random(count=1000, width=300)) == pytest.approx(0.25, abs=0.06)
    rng = np.random.default_rng(0)
    nothing = Sample(rng.normal(size=(400, 20)), rng.normal(size=(400, 1)), "numbers")
    assert -0.1 < ranking.measure("probe", nothing) < 0.05


def test_several_labels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6))
    known = (features[:, :2] > 0).astype(float)
    assert ranking.measure("probe", Sample(features, known, "labels")) > 0.95
    # Average precision of chance is the share of the examples that have the label.
    guessed = (rng.random((300, 2)) < 0.3).astype(float)
    assert ranking.measure("probe", Sample(features, guessed, "labels")) == pytest.approx(guessed.mean(), abs=0.1)
