"""Decisions on several labels: thresholds on probabilities, and how good what they decide is. Functions of arrays."""

from typing import Any

import numpy as np

THRESHOLD = 0.5
"""Where nothing was learned of another."""

_CURVE_POINTS = 101


def example_f1(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """F1 of the classes of each example, float [n], of bool [n, k]; 1 where both have none."""
    either = truth.sum(axis=1) + found.sum(axis=1)
    return np.where(either > 0, 2 * (truth & found).sum(axis=1) / np.maximum(either, 1), 1.0)


def best_threshold(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """The threshold with the highest F1, halfway between two probabilities; of equal ones that nearest to 0.5.

    Args:
        truth: bool [n].
        probabilities: float [n].

    Returns:
        0.5 where nothing is true, or all is 0.
    """
    if not truth.any():
        return THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order].astype(np.float64)
    hits, found = np.cumsum(truth[order]), np.arange(1, len(order) + 1)
    f1 = 2 * hits / (found + truth.sum())
    below = np.append(ranked[1:], 0.0)
    f1[ranked <= below] = -1.0  # no threshold parts equal probabilities
    if f1.max() < 0:
        return THRESHOLD
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    # Anything between the two parts them alike: 0.5 where it lies there, else their middle.
    places = [THRESHOLD if below[i] < THRESHOLD <= ranked[i] else (ranked[i] + below[i]) / 2 for i in best.tolist()]
    return float(min(places, key=lambda place: (abs(place - THRESHOLD), place)))


def average_precision(truth: np.ndarray, probabilities: np.ndarray) -> float | None:
    """Precision averaged over the steps of recall, as scikit-learn has it; None where nothing is true."""
    from sklearn import metrics as sk

    return float(sk.average_precision_score(truth, probabilities)) if truth.any() else None


def weighed_f1(truth: np.ndarray, found: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Macro F1, over the classes that are true or found of any example, and micro F1.

    Args:
        truth: bool [n, k].
        found: bool [n, k].
        weights: float [draws, n].

    Returns:
        two of float [draws].
    """
    present = (truth | found).any(axis=0)
    hits, either = weights @ (truth & found), weights @ (truth.astype(np.float64) + found)
    by_class = 2 * hits / np.maximum(either, 1e-12)
    macro = by_class[:, present].mean(axis=1) if present.any() else np.zeros(len(weights))
    return macro, 2 * hits.sum(axis=1) / np.maximum(either.sum(axis=1), 1e-12)


def weighed_average_precision(truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """`average_precision` for each row of weights.

    Args:
        truth: bool [n], some of them true.
        probabilities: float [n].
        weights: float [draws, n].
    """
    order = np.argsort(-probabilities, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(probabilities[order]) != 0, True))  # equal probabilities are one step
    ranked = weights[:, order]
    hits, found = np.cumsum(ranked * truth[order], axis=1)[:, ends], np.cumsum(ranked, axis=1)[:, ends]
    steps = np.diff(hits, axis=1, prepend=0.0) / np.maximum(hits[:, -1:], 1e-12)
    return (steps * hits / np.maximum(found, 1e-12)).sum(axis=1)


def precision_recall(truth: np.ndarray, probabilities: np.ndarray) -> list[tuple[float, float]]:
    """(recall, highest precision at this recall or more) at even steps of recall; empty where nothing is true."""
    from sklearn import metrics as sk

    if not truth.any():
        return []
    precision, recall, _ = sk.precision_recall_curve(truth, probabilities)
    reached = np.maximum.accumulate(precision[:-1])
    steps = np.linspace(0.0, 1.0, _CURVE_POINTS)
    # Recall falls along the curve: the last point that still has it is the best one that does.
    places = np.searchsorted(-recall[:-1], -steps, side="right") - 1
    return [(float(x), float(reached[place])) for x, place in zip(steps, places, strict=True)]


def shares(hits: Any, found: Any, support: Any) -> tuple[Any, Any, Any]:
    """Precision, recall and F1 of counts; 0 where there is nothing to divide by."""
    return hits / np.maximum(found, 1), hits / np.maximum(support, 1), 2 * hits / np.maximum(found + support, 1)
