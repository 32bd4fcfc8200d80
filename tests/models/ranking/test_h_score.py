"""The H-score: its limits, its formula by dense matrices, what shrinking is for."""

import numpy as np
import pytest
import ranking_samples as samples
from sklearn.covariance import LedoitWolf

from graft.models import ranking


def reference(features: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """The shrunk score by dense matrices, and the plain one."""
    features = features - features.mean(axis=0)
    found = LedoitWolf(assume_centered=True).fit(features)
    means = np.stack([features[targets == one].mean(axis=0) for one in range(targets.max() + 1)])[targets]
    between = means.T @ means / len(targets)
    covariance = features.T @ features / len(targets)
    shrunk = (1 - found.shrinkage_) * np.trace(np.linalg.solve(found.covariance_, between))
    return shrunk, np.trace(np.linalg.pinv(covariance, rcond=1e-10) @ between)


@pytest.mark.parametrize("width", (6, 40, 150))
def test_it_is_its_formula_also_with_more_features_than_examples(width):
    sample = samples.between(count=80, width=width)
    expected, _ = reference(sample.features, sample.targets)
    assert ranking.measure("h_score", sample) == pytest.approx(expected, rel=1e-6)


def test_classes_that_are_points_give_their_number_less_1():
    # Means of C points span C - 1 directions, each with all of its variance between the classes.
    for classes in (2, 4, 6):
        found = ranking.measure("h_score", samples.perfect(classes=classes, spread=1e-3))
        assert 0.9 * (classes - 1) < found <= classes - 1  # what it is shrunk by is missing


def test_features_that_say_nothing_give_next_to_nothing_where_the_plain_score_is_misled():
    sample = samples.random(count=100, classes=4, width=80)
    shrunk, plain = ranking.measure("h_score", sample), reference(sample.features, sample.targets)[1]
    # The plain one is (C - 1) d / (n - 1) on average: (n - 1) of it is a sum of squares over n - 1 directions.
    assert plain == pytest.approx(3 * 80 / 99, rel=0.25)
    assert 0 <= shrunk < 0.2
