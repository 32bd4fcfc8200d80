"""The calibration error against cases worked out by hand, its bias and its interval."""

import math

import numpy as np
import pytest

from graft.models.targets.calibration import reliability


def rows(*confidences: float) -> np.ndarray:
    """Predictions of class 0 out of two, with these probabilities."""
    return np.array([[c, 1 - c] for c in confidences])


def top_class(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """Calibration of the most probable class."""
    return reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def test_perfect_calibration_has_no_error():
    # Four predictions at 0.75, three of them right.
    found = top_class(np.array([0, 0, 0, 1]), rows(0.75, 0.75, 0.75, 0.75))
    assert found["error"] == pytest.approx(0)
    assert found["bins"] == [{"low": 11 / 15, "high": 12 / 15, "count": 4, "confidence": 0.75, "accuracy": 0.75}]


def test_overconfidence_is_the_distance_of_confidence_and_accuracy():
    # Always sure, right half of the time: |0.5 - 1|.
    assert top_class(np.array([0, 1]), rows(1.0, 1.0))["error"] == pytest.approx(0.5)


def test_bins_are_weighed_by_their_examples():
    # One bin of 3 at 0.9, two right: |2/3 - 0.9| * 3/4; one bin of 1 at 0.6, wrong: 0.6 * 1/4.
    found = top_class(np.array([0, 0, 1, 1]), rows(0.9, 0.9, 0.9, 0.6))
    assert found["error"] == pytest.approx((0.9 - 2 / 3) * 3 / 4 + 0.6 / 4)
    assert [b["count"] for b in found["bins"]] == [1, 3]


def test_full_confidence_lies_in_the_last_bin():
    assert top_class(np.array([0]), rows(1.0))["bins"][0]["low"] == 14 / 15


def test_a_probability_that_is_no_number_gives_an_error_that_is_none():
    assert math.isnan(top_class(np.array([0, 0]), np.array([[np.nan, np.nan], [0.9, 0.1]]))["error"])


def calibrated(n: int, overconfident: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a model of two classes whose confidence is too high by `overconfident`."""
    confidence = rng.uniform(0.5 + overconfident, 1.0, n)
    right = rng.random(n) < confidence - overconfident
    return (~right).astype(int), np.column_stack([confidence, 1 - confidence])


@pytest.mark.slow
@pytest.mark.parametrize("n", [65, 1000])
def test_the_bias_is_what_a_perfectly_calibrated_model_scores(n):
    rng = np.random.default_rng(0)
    found = [top_class(*calibrated(n, 0.0, rng)) for _ in range(200)]
    assert np.mean([f["bias"] for f in found]) == pytest.approx(np.mean([f["error"] for f in found]), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("overconfident", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("n", [65, 1000])
def test_the_interval_holds_the_true_error(n, overconfident):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = top_class(*calibrated(n, overconfident, rng))["interval"]
        held += low - 0.01 <= overconfident <= high + 0.01
    assert held / 200 > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("n", [65, 400])
def test_the_interval_holds_where_the_decisions_of_an_example_go_together(n):
    """Ten probabilities an example, all right or all wrong by one draw: as much evidence as one, not as ten."""
    rng = np.random.default_rng(0)
    examples, held = np.repeat(np.arange(n), 10), {True: 0, False: 0}
    for _ in range(200):
        confidence = np.repeat(rng.uniform(0.5, 1.0, n), 10)
        right = np.repeat(rng.random(n), 10) < confidence
        for together in held:
            low, _ = reliability(confidence, right, examples=examples if together else None)["interval"]
            held[together] += low <= 0.01
    assert held[True] / 200 > 0.88 > 0.7 > held[False] / 200
