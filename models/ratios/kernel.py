"""The Gaussian kernel k(x, y) = exp(-|x - y|^2 / (2 s^2)) of KMM and KLIEP, and its bandwidth s."""

import numpy as np
import scipy.spatial.distance

_ROWS = 1000
_SLICE = 4096


def median_bandwidth(source: np.ndarray, target: np.ndarray) -> float:
    """The median distance between two rows of either domain, over at most 1,000 rows of each.

    A kernel much narrower sees every row alone, one much wider sees all rows alike. 1 where most rows are equal.

    Args:
        source: float [n, d].
        target: float [m, d].
    """
    rows = np.concatenate([spread(source, _ROWS), spread(target, _ROWS)])
    return float(np.median(scipy.spatial.distance.pdist(rows))) or 1.0


def gaussian(rows: np.ndarray, others: np.ndarray, bandwidth: float) -> np.ndarray:
    """float64 [n, m] of kernel values between rows [n, d] and [m, d]."""
    return np.exp(-scipy.spatial.distance.cdist(rows, others, "sqeuclidean") / (2 * bandwidth**2))


def mean_gaussian(rows: np.ndarray, others: np.ndarray, bandwidth: float) -> np.ndarray:
    """float64 [n]: for each of `rows` the mean of its kernel values over all of `others`, some of them at a time."""
    total = np.zeros(len(rows))
    for start in range(0, len(others), _SLICE):
        total += gaussian(rows, others[start : start + _SLICE], bandwidth).sum(axis=1)
    return total / len(others)


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, evenly over all."""
    count = rows.shape[0]
    return rows[np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))]
