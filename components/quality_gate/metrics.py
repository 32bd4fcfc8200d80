"""Figures of a classifier from its test predictions; pure functions of arrays."""

from typing import Any

import numpy as np
from sklearn import metrics as sk

from graft.models.predict import most_probable

_DRAWS = 400
_SCALES = np.linspace(0.0, 2.0, 81)


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> dict[str, Any]:
    """Expected calibration error of the top class, and the reliability diagram it sums up.

    ECE = sum_b (n_b / n) * |accuracy_b - confidence_b| over equal-width bins of the top probability
    (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3).

    Chance alone moves accuracy away from confidence in every bin, and the absolute value makes an error of it: a model
    that is calibrated perfectly is expected to score sum_b sqrt(2 / pi * sum_i p_i (1 - p_i)) / n, its bias.

    Args:
        labels: int [n] true class ids.
        probabilities: float [n, k], rows summing to 1.
        bins: number of equal-width bins on [0, 1].

    Returns:
        `error`; `bias`; `interval`, the true errors that go with this one in 95 % of test splits; `bins`, a list of
        {low, high, count, confidence, accuracy} of the bins that hold examples. NaN and no bins if a probability is no
        number.
    """
    confidence = probabilities.max(axis=1)
    if not np.isfinite(confidence).all():
        return {"error": np.nan, "bias": np.nan, "interval": [np.nan, np.nan], "bins": []}
    correct = probabilities.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    table = []
    for b in np.unique(which):
        inside = which == b
        table.append(
            {
                "low": b / bins,
                "high": (b + 1) / bins,
                "count": int(inside.sum()),
                "confidence": float(confidence[inside].mean()),
                "accuracy": float(correct[inside].mean()),
            }
        )
    error = sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in table) / max(len(labels), 1)
    excess = correct - confidence.astype(np.float64)
    chance = np.bincount(which, confidence * (1 - confidence), bins)
    return {
        "error": float(error),
        "bias": float(np.sqrt(2 / np.pi * chance).sum() / max(len(labels), 1)),
        "interval": _calibration_interval(
            np.bincount(which, excess, bins), np.sqrt(np.bincount(which, excess**2, bins)), len(labels)
        ),
        "bins": table,
    }


def _calibration_interval(sums: np.ndarray, noise: np.ndarray, count: int) -> list[float]:
    """The errors, of all with the observed pattern over the bins, for which the observed one is not surprising.

    Args:
        sums: float [bins], correct answers less confidences.
        noise: float [bins], standard deviations of these.
        count: number of examples.
    """
    error = np.abs(sums).sum() / count
    draws = np.random.default_rng(0).normal(size=(_DRAWS, len(sums)))
    scored = np.abs(_SCALES[:, None, None] * sums + noise * draws).sum(axis=2) / count
    low, high = np.quantile(scored, [0.025, 0.975], axis=1)
    fitting = _SCALES[(low <= error) & (error <= high)]
    return [float(fitting.min() * error), float(fitting.max() * error)] if len(fitting) else [0.0, float(error)]


def classification(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Accuracy, macro F1, per-class table, confusion matrix (rows are true classes) and calibration.

    An answer whose probabilities are not finite numbers is wrong; `invalid` counts them. `unmeasured` are the classes
    without examples.

    Args:
        labels: int [n] true class ids, n > 0.
        probabilities: float [n, k].
        classes: k names.
    """
    predicted = most_probable(probabilities)
    ids = np.arange(len(classes))
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted, labels=ids, zero_division=0)
    # As scikit-learn's macro average: a class that is only predicted counts, with an F1 of 0.
    present = (support > 0) | np.isin(ids, predicted)
    calibrated = calibration(labels, probabilities)
    return {
        "examples": len(labels),
        "invalid": int((predicted < 0).sum()),
        "unmeasured": [name for name, count in zip(classes, support, strict=True) if not count],
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1[present].mean()) if present.any() else 0.0,
        "calibration_error": calibrated["error"],
        "calibration_bias": calibrated["bias"],
        "calibration_interval": calibrated["interval"],
        "reliability": calibrated["bins"],
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for name, p, r, f, s in zip(classes, precision, recall, f1, support, strict=True)
        },
        "confusion": _confusion(labels, predicted, ids),
    }


def _confusion(labels: np.ndarray, predicted: np.ndarray, ids: np.ndarray) -> list[list[int]]:
    """Counts by true and predicted class; answers that are none are in no column."""
    if not np.isin(labels, ids).any():
        return np.zeros((len(ids), len(ids)), int).tolist()
    return sk.confusion_matrix(labels, predicted, labels=ids).tolist()
