"""Figures of a classifier from its test predictions; pure functions of arrays."""

from typing import Any

import numpy as np
from sklearn import metrics as sk


def calibration(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> dict[str, Any]:
    """Expected calibration error of the top class, and the reliability diagram it sums up.

    ECE = sum_b (n_b / n) * |accuracy_b - confidence_b| over equal-width bins of the top probability
    (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3).

    Args:
        labels: int [n] true class ids.
        probabilities: float [n, k], rows summing to 1.
        bins: number of equal-width bins on [0, 1].

    Returns:
        `error` and `bins`, a list of {low, high, count, confidence, accuracy} of the bins that hold examples. NaN and
        no bins if a probability is no number.
    """
    confidence = probabilities.max(axis=1)
    if not np.isfinite(confidence).all():
        return {"error": float("nan"), "bins": []}
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
    return {"error": float(error), "bins": table}


def classification(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Accuracy, macro F1, per-class table, confusion matrix (rows are true classes) and calibration.

    Args:
        labels: int [n] true class ids, n > 0.
        probabilities: float [n, k].
        classes: k names.
    """
    predicted = probabilities.argmax(axis=1)
    ids = np.arange(len(classes))
    precision, recall, f1, support = sk.precision_recall_fscore_support(labels, predicted, labels=ids, zero_division=0)
    present = support > 0
    calibrated = calibration(labels, probabilities)
    return {
        "examples": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1[present].mean()),
        "calibration_error": calibrated["error"],
        "reliability": calibrated["bins"],
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
            for name, p, r, f, s in zip(classes, precision, recall, f1, support, strict=True)
        },
        "confusion": sk.confusion_matrix(labels, predicted, labels=ids).tolist(),
    }
