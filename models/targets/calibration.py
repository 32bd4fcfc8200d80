"""Expected calibration error of probabilities, what chance makes of it, and the reliability diagram it sums up."""

from typing import Any

import numpy as np

_DRAWS = 400
_SCALES = np.linspace(0.0, 2.0, 81)


def reliability(
    confidence: np.ndarray, right: np.ndarray, bins: int = 15, examples: np.ndarray | None = None
) -> dict[str, Any]:
    """Expected calibration error over equal-width bins of a probability.

    ECE = sum_b (n_b / n) * |accuracy_b - confidence_b| over equal-width bins of the probability
    (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3).

    Chance alone moves accuracy away from confidence in every bin, and the absolute value makes an error of it: a model
    that is calibrated perfectly is expected to score sum_b sqrt(2 / pi * sum_i p_i (1 - p_i)) / n, its bias.

    Args:
        confidence: float [n], the probability that something is so.
        right: bool [n], whether it is so.
        bins: number of equal-width bins on [0, 1].
        examples: int [n], the example that each belongs to: what is said of one example goes together, so the interval
            varies examples. None: each is one by itself.

    Returns:
        `error`; `bias`; `interval`, the true errors that go with this one in 95 % of test splits; `bins`, a list of
        {low, high, count, confidence, accuracy} of the bins that hold examples. NaN and no bins if a probability is no
        number.
    """
    if not np.isfinite(confidence).all():
        return {"error": np.nan, "bias": np.nan, "interval": [np.nan, np.nan], "bins": []}
    count = len(confidence)
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
                "accuracy": float(right[inside].mean()),
            }
        )
    error = sum(row["count"] * abs(row["accuracy"] - row["confidence"]) for row in table) / max(count, 1)
    excess: np.ndarray = right - confidence.astype(np.float64)
    chance = np.bincount(which, confidence * (1 - confidence), bins)
    if examples is None:
        squares = np.bincount(which, excess**2, bins)
    else:
        together = np.bincount(examples * bins + which, excess, (int(examples.max(initial=-1)) + 1) * bins)
        squares = (together.reshape(-1, bins) ** 2).sum(axis=0)
    return {
        "error": float(error),
        "bias": float(np.sqrt(2 / np.pi * chance).sum() / max(count, 1)),
        "interval": _interval(np.bincount(which, excess, bins), np.sqrt(squares), count),
        "bins": table,
    }


def _interval(sums: np.ndarray, noise: np.ndarray, count: int) -> list[float]:
    """The errors, of all with the observed pattern over the bins, for which the observed one is not surprising.

    Args:
        sums: float [bins], right ones less confidences.
        noise: float [bins], standard deviations of these.
        count: number of probabilities.
    """
    error = np.abs(sums).sum() / count
    draws = np.random.default_rng(0).normal(size=(_DRAWS, len(sums)))
    scored = np.abs(_SCALES[:, None, None] * sums + noise * draws).sum(axis=2) / count
    low, high = np.quantile(scored, [0.025, 0.975], axis=1)
    fitting = _SCALES[(low <= error) & (error <= high)]
    return [float(fitting.min() * error), float(fitting.max() * error)] if len(fitting) else [0.0, float(error)]
