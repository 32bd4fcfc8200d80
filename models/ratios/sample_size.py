"""How many examples weighted ones are worth."""

import numpy as np


def effective(weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2, from 1, where one example has all the weight, to n, where all have the same.

    A mean under these weights varies as much as a plain mean of so many examples (Kish, "Survey Sampling", 1965).

    Args:
        weights: float [n], none below 0; 0 where all are 0.
    """
    weights = np.asarray(weights, np.float64)
    squares = float(np.sum(weights * weights))
    return float(np.sum(weights)) ** 2 / squares if squares else 0.0
