"""Figures of a classifier against cases worked out by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics

from graft.components.quality_gate import metrics


def rows(*confidences: float) -> np.ndarray:
    """Predictions of class 0 out of two, with these probabilities."""
    return np.array([[c, 1 - c] for c in confidences])


def test_perfect_calibration_has_no_error():
    # Four predictions at 0.75, three of them right.
    found = metrics.calibration(np.array([0, 0, 0, 1]), rows(0.75, 0.75, 0.75, 0.75))
    assert found["error"] == pytest.approx(0)
    assert found["bins"] == [{"low": 11 / 15, "high": 12 / 15, "count": 4, "confidence": 0.75, "accuracy": 0.75}]


def test_overconfidence_is_the_distance_of_confidence_and_accuracy():
    # Always sure, right half of the time: |0.5 - 1|.
    assert metrics.calibration(np.array([0, 1]), rows(1.0, 1.0))["error"] == pytest.approx(0.5)


def test_bins_are_weighed_by_their_examples():
    # One bin of 3 at 0.9, two right: |2/3 - 0.9| * 3/4; one bin of 1 at 0.6, wrong: 0.6 * 1/4.
    found = metrics.calibration(np.array([0, 0, 1, 1]), rows(0.9, 0.9, 0.9, 0.6))
    assert found["error"] == pytest.approx((0.9 - 2 / 3) * 3 / 4 + 0.6 / 4)
    assert [b["count"] for b in found["bins"]] == [1, 3]


def test_full_confidence_lies_in_the_last_bin():
    assert metrics.calibration(np.array([0]), rows(1.0))["bins"][0]["low"] == 14 / 15


def test_a_probability_that_is_no_number_gives_an_error_that_is_none():
    assert math.isnan(metrics.calibration(np.array([0, 0]), np.array([[np.nan, np.nan], [0.9, 0.1]]))["error"])


def test_classification_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    found = metrics.classification(labels, np.eye(3)[predicted], ["cat", "dog", "owl"])
    assert found["examples"] == 6
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["confusion"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found["per_class"]["cat"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})
    assert found["per_class"]["dog"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert found["per_class"]["owl"] == pytest.approx({"precision": 0, "recall": 0, "f1": 0, "support": 1})
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)


def test_a_class_without_examples_is_not_in_the_macro_mean():
    found = metrics.classification(np.array([0, 1]), np.eye(3)[[0, 1]], ["cat", "dog", "owl"])
    assert found["macro_f1"] == 1
    assert found["per_class"]["owl"]["support"] == 0
    assert found["unmeasured"] == ["owl"]


def test_macro_f1_is_that_of_scikit_learn_where_a_class_is_only_predicted():
    """Eight of nine cats found, the ninth taken for a dog: dogs have an F1 of 0, and count."""
    labels, predicted = np.zeros(9, int), np.array([0] * 8 + [1])
    found = metrics.classification(labels, np.eye(3)[predicted], ["cat", "dog", "owl"])
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(labels, predicted, average="macro"))
    assert found["macro_f1"] == pytest.approx(8 / 17)


def test_answers_that_are_no_numbers_are_wrong_and_counted():
    probabilities = np.array([[np.nan, 0.1], [0.9, 0.1], [np.inf, 0.0]])
    found = metrics.classification(np.array([0, 0, 0]), probabilities, ["cat", "dog"])
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["invalid"] == 2
    assert found["confusion"] == [[1, 0], [0, 0]]


def calibrated(n: int, overconfident: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a model of two classes whose confidence is too high by `overconfident`."""
    confidence = rng.uniform(0.5 + overconfident, 1.0, n)
    right = rng.random(n) < confidence - overconfident
    return (~right).astype(int), np.column_stack([confidence, 1 - confidence])


@pytest.mark.parametrize("n", [65, 1000])
def test_the_bias_is_what_a_perfectly_calibrated_model_scores(n):
    rng = np.random.default_rng(0)
    found = [metrics.calibration(*calibrated(n, 0.0, rng)) for _ in range(200)]
    assert np.mean([f["bias"] for f in found]) == pytest.approx(np.mean([f["error"] for f in found]), rel=0.1)


@pytest.mark.parametrize("overconfident", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("n", [65, 1000])
def test_the_interval_holds_the_true_error(n, overconfident):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = metrics.calibration(*calibrated(n, overconfident, rng))["interval"]
        held += low - 0.01 <= overconfident <= high + 0.01
    assert held / 200 > 0.88
