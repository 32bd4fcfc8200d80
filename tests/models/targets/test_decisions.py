"""Thresholds and curves of several labels, against all others there are and against scikit-learn."""

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from graft.models.targets.decisions import best_threshold, precision_recall


def sample(n: int = 200, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth float32 [n, k] and probabilities that say something of it."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, k)) < np.linspace(0.1, 0.6, k)
    logits = rng.normal(0, 1, (n, k)) + 2 * truth - 1
    return truth.astype(np.float32), scipy.special.expit(logits).astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_has_the_highest_f1_of_all(seed):
    truth, given = sample(60, 1, seed)
    threshold = best_threshold(truth[:, 0] > 0, given[:, 0])
    every = [sklearn.metrics.f1_score(truth[:, 0], given[:, 0] >= t) for t in (*given[:, 0], 0.5)]
    assert sklearn.metrics.f1_score(truth[:, 0], given[:, 0] >= threshold) == max(every)
    assert np.abs(given[:, 0] - threshold).min() > 0, "it lies between answers, so that rounding moves none over it"


@pytest.mark.parametrize(
    ("truth", "given", "threshold"),
    [
        ([1, 1, 0], [0.9, 0.6, 0.2], 0.5),
        ([1, 1, 0], [0.9, 0.8, 0.7], 0.75),
        ([1, 0, 0], [0.2, 0.1, 0.1], 0.15),
        ([0, 0], [0.9, 0.1], 0.5),
        ([1, 0], [0.0, 0.0], 0.5),
        ([1, 0, 1], [0.4, 0.4, 0.4], 0.2),
    ],
    ids=["0.5 where that is best", "above", "below", "nothing is true", "nothing is found", "all alike"],
)
def test_thresholds_by_hand(truth, given, threshold):
    assert best_threshold(np.array(truth, bool), np.array(given)) == pytest.approx(threshold)


def test_the_curve_holds_the_highest_precision_at_each_recall():
    truth, given = sample(50, 1)
    curve = precision_recall(truth[:, 0] > 0, given[:, 0])
    precision, recall, _ = sklearn.metrics.precision_recall_curve(truth[:, 0], given[:, 0])
    for x, y in curve:
        assert y == precision[:-1][recall[:-1] >= x].max()
    assert [x for x, _ in curve][:: len(curve) - 1] == [0, 1]
    assert precision_recall(np.zeros(3, bool), given[:3, 0]) == []
