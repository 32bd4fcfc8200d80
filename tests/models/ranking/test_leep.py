"""LEEP: its limits, its formula by loops, source classes that nobody is in."""

import math

import numpy as np
import pytest
import ranking_samples as samples

from graft.models import ranking
from graft.models.ranking.sample import Sample


def measured(theta: np.ndarray, targets: np.ndarray) -> float:
    return ranking.measure("leep", Sample(np.zeros((len(targets), 1)), targets, probabilities=theta))


def test_a_classifier_that_names_the_targets_gives_0():
    targets = samples.labels(60, 3)
    assert measured(np.eye(3)[targets], targets) == pytest.approx(0)
    # Two source classes for one of the target are as good.
    assert measured(np.eye(6)[targets + 3 * (np.arange(60) % 2)], targets) == pytest.approx(0)


@pytest.mark.parametrize("classes", (2, 5))
def test_a_classifier_that_says_nothing_gives_minus_the_entropy_of_the_labels(classes):
    # theta is 1 / z for every example: P(y | z) = P(y), so each example's likelihood is P(y_i).
    targets = samples.labels(100, classes)
    assert measured(np.full((100, 7), 1 / 7), targets) == pytest.approx(-math.log(classes))
    uneven = np.repeat([0, 1], (90, 10))
    assert measured(np.full((100, 7), 1 / 7), uneven) == pytest.approx(0.9 * math.log(0.9) + 0.1 * math.log(0.1))


def test_random_answers_come_near_that():
    # From above: what chance there is in theta can only tell examples apart; 4 classes of 4 give 16 free numbers.
    targets = samples.labels(4000, 4)
    theta = np.random.default_rng(0).dirichlet(np.ones(4), 4000)
    assert -math.log(4) <= measured(theta, targets) <= -math.log(4) + 0.01


def test_it_is_its_formula():
    rng = np.random.default_rng(1)
    targets, theta = samples.labels(30, 3), rng.dirichlet(np.ones(5), 30)
    joint = np.zeros((3, 5))
    for y, row in zip(targets, theta, strict=True):
        joint[y] += row / 30
    total = 0.0
    for y, row in zip(targets, theta, strict=True):
        total += math.log(sum(joint[y, z] / joint[:, z].sum() * row[z] for z in range(5))) / 30
    assert measured(theta, targets) == pytest.approx(total)


def test_a_source_class_that_nobody_is_in_is_left_out():
    targets = samples.labels(30, 3)
    theta = np.random.default_rng(1).dirichlet(np.ones(5), 30)
    with_empty = np.concatenate([theta, np.zeros((30, 2))], axis=1)
    assert measured(with_empty, targets) == pytest.approx(measured(theta, targets))
