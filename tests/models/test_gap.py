"""The interval of a gap: its signs, its limits, and how often a gate that decides by it is wrong."""

import numpy as np
import pytest

from benchmarks.comparisons import simulate
from graft.models import gap


def test_equal_answers_have_no_gap_and_are_not_distinguishable():
    same = np.random.default_rng(0).random((3, 200)) < 0.8
    found = gap.measure(same, same)
    assert found.mean == 0 and found.low < 0 < found.high
    assert not found.distinguishable and found.beyond_luck == 0


def test_a_clear_gap_has_the_sign_of_who_is_worse():
    rng = np.random.default_rng(0)
    good = rng.random((3, 400)) < 0.9
    bad = good & (rng.random((3, 400)) < 0.6)
    worse, better = gap.measure(good, bad), gap.measure(bad, good)
    assert worse.low > 0.2 and worse.beyond_luck == worse.mean == pytest.approx(np.mean(worse.per_seed))
    assert better.high < -0.2 and better.beyond_luck == better.mean == -worse.mean


def test_a_tie_over_seeds_is_zero():
    """The seeds' gaps are 0.1, 0.2 and -0.3: the mean of their floats is not 0."""
    rival, model = np.zeros((3, 10), bool), np.zeros((3, 10), bool)
    rival[0, 0] = rival[1, :2] = model[2, :3] = True
    assert gap.measure(rival, model).mean == 0.0


def test_more_rivals_widen_the_interval():
    rng = np.random.default_rng(0)
    rival, model = rng.random((3, 100)) < 0.8, rng.random((3, 100)) < 0.7
    alone, of_three = gap.measure(rival, model), gap.measure(rival, model, rivals=3)
    assert of_three.low < alone.low < alone.high < of_three.high


def test_a_handful_of_images_on_one_side_is_not_certainty():
    rival, model = np.zeros((1, 65), bool), np.zeros((1, 65), bool)
    rival[0, :2] = True
    assert gap.measure(rival, model).beyond_luck == 0
    rival[0, :12] = True
    assert gap.measure(rival, model).beyond_luck == pytest.approx(12 / 65)


ROUNDS = 500
# Three standard errors of a share of 5 % over the rounds.
NOISE = 3 * (0.05 * 0.95 / ROUNDS) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("images", "luck"), [(65, 0.0), (65, 0.02), (400, 0.02)])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_gate_closes_on_equals_at_most_as_often_as_is_stated(images, luck, seeds):
    found = simulate(ROUNDS, images, seeds, luck, true_gap=0.0)
    assert found["closed"] <= gap.FALSE_ALARMS + NOISE
    assert found["covered"] >= 1 - 2 * gap.FALSE_ALARMS - NOISE


@pytest.mark.parametrize("images", [65, 400])
def test_two_fixed_models_that_are_equal_close_the_baseline_gate_at_most_as_often(images):
    assert simulate(ROUNDS, images, 1, 0.0, 0.0, rivals=1)["closed"] <= gap.FALSE_ALARMS + NOISE


def test_a_real_gap_closes_it():
    assert simulate(200, 400, 5, 0.02, true_gap=0.15)["closed"] > 0.9
