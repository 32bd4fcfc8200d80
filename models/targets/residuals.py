"""Errors of numbers: their means with intervals, by size, and as points. Functions of arrays."""

from collections.abc import Iterable
from typing import Any

import numpy as np

_DRAWS, _DRAWN_AT_ONCE = 400, 2**22
_POINTS, _SIZES = 400, 10

NAMES = ("mean_absolute_error", "root_mean_squared_error", "r2")
"""What `measured` gives, in its order."""


def measured(truth: np.ndarray, given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean absolute error, root of the mean squared error and R2 (`NAMES`) for each row of weights.

    Args:
        truth: float [n, k].
        given: float [n, k].
        weights: float [draws, n].

    Returns:
        float [3, draws, k]; NaN where there is no R2, or no example.
    """
    if not len(truth):
        return np.full((3, len(weights), truth.shape[1]), np.nan)
    error, centred = given - truth, truth - truth.mean(axis=0)
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    absolute, squared = weights @ np.abs(error) / total, weights @ error**2 / total
    spread = weights @ centred**2 / total - (weights @ centred / total) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(spread > 1e-12 * np.maximum((centred**2).mean(axis=0), 1e-300), 1 - squared / spread, np.nan)
    return np.stack([absolute, np.sqrt(squared), r2])


def bootstrap(truth: np.ndarray, given: np.ndarray) -> np.ndarray:
    """`measured` of examples drawn with replacement, the same ones for any order of the columns."""
    if not len(truth):
        return measured(truth, given, np.ones((1, 0)))
    rng, parts, left = np.random.default_rng(0), [], _DRAWS
    while left:
        rows = min(left, max(1, _DRAWN_AT_ONCE // len(truth)))
        weights = rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=rows)
        parts.append(measured(truth, given, weights.astype(np.float64)))
        left -= rows
    return np.concatenate(parts, axis=1)


def figures(found: Iterable[Any], drawn: Iterable[np.ndarray]) -> dict[str, Any]:
    """What was measured and its 95 % interval by name: `r2`, `r2_interval`.

    Args:
        found: a number for each of `NAMES`.
        drawn: float [draws] for each of them, of `bootstrap`.
    """
    told: dict[str, Any] = {}
    for name, value, draws in zip(NAMES, found, drawn, strict=True):
        told |= {name: known(value), f"{name}_interval": interval(draws)}
    return told


def known(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def interval(draws: np.ndarray) -> list[float] | None:
    """Where the middle 95 % of the draws lie; None where they could not be measured."""
    draws = draws[np.isfinite(draws)]
    return np.quantile(draws, [0.025, 0.975]).tolist() if len(draws) else None


def by_size(truth: np.ndarray, given: np.ndarray) -> list[dict[str, float]]:
    """Errors by the size of the number: {low, high, count, mean_absolute_error, bias}, equally many examples each."""
    order = np.argsort(truth, kind="stable")
    parts = [part for part in np.array_split(order, _SIZES) if len(part)]
    return [
        {
            "low": float(truth[part].min()),
            "high": float(truth[part].max()),
            "count": len(part),
            "mean_absolute_error": float(np.abs(given[part] - truth[part]).mean()),
            "bias": float((given[part] - truth[part]).mean()),
        }
        for part in parts
    ]


def points(truth: np.ndarray, given: np.ndarray) -> list[tuple[float, float]]:
    """(true, answered) of some examples, evenly over the split."""
    rows = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), _POINTS)).astype(int)) if len(truth) else []
    return [(float(truth[row]), float(given[row])) for row in rows]
