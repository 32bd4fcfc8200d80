"""Nearest neighbours: scikit-learn's with one example left out at a time, its limits, and ties."""

import numpy as np
import pytest
import ranking_samples as samples
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from graft.models import ranking
from graft.models.ranking import knn
from graft.models.ranking.sample import Sample


def left_out(model, features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """What a model says of each example that learned from all others."""
    rows = np.arange(len(targets))
    return np.array([model.fit(features[rows != i], targets[rows != i]).predict(features[[i]])[0] for i in rows])


def test_two_classes_as_scikit_learn_does():
    sample = samples.between(count=80, classes=2, width=5)
    answers = left_out(KNeighborsClassifier(5, metric="cosine"), sample.features, sample.targets)
    assert ranking.measure("knn", sample) == (answers == sample.targets).mean() < 1


def test_numbers_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 4))
    numbers = features @ rng.normal(size=(4, 2)) + 0.3 * rng.normal(size=(80, 2))
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    answers = left_out(KNeighborsRegressor(5, metric="cosine"), features, scaled)
    expected = 1 - ((answers - scaled) ** 2).mean()
    assert ranking.measure("knn", Sample(features, numbers, "numbers")) == pytest.approx(expected)


def test_limits():
    assert ranking.measure("knn", samples.perfect()) == 1
    # Chance is 1 / 4 with a standard deviation of .014 over 1000 examples.
    assert ranking.measure("knn", samples.random(count=1000)) == pytest.approx(0.25, abs=0.06)


def test_no_example_is_its_own_neighbour_and_zeros_have_neighbours():
    features = np.array([[1.0, 0], [1, 0], [1, 0.1], [0, 1], [0, 0]])
    found = knn.neighbours(features, 2)
    assert found[0].tolist() == [1, 2] and found[1].tolist() == [0, 2]
    assert all(row not in found[row] for row in range(5))


def test_of_equally_common_classes_that_of_the_nearest_counts():
    assert knn._voted(np.array([[2, 1, 1, 2, 0], [0, 1, 2, 3, 4], [3, 1, 1, 0, 2]])).tolist() == [2, 0, 1]
