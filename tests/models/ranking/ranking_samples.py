"""Samples whose scores are known."""

import numpy as np

from graft.models.ranking.sample import Sample


def labels(count: int, classes: int, seed: int = 0) -> np.ndarray:
    """int [n], each class equally often, in an order of chance."""
    return np.random.default_rng(seed).permutation(np.arange(count) % classes)


def perfect(count: int = 240, classes: int = 4, width: int = 12, spread: float = 0.01) -> Sample:
    """Each class is nearly a point, in directions at right angles."""
    targets = labels(count, classes)
    noise = np.random.default_rng(1).normal(size=(count, width))
    return Sample(np.eye(classes, width)[targets] + spread * noise, targets)


def random(count: int = 240, classes: int = 4, width: int = 12, seed: int = 2) -> Sample:
    """Features that say nothing of the classes."""
    return Sample(np.random.default_rng(seed).normal(size=(count, width)), labels(count, classes))


def between(count: int = 240, classes: int = 4, width: int = 12) -> Sample:
    """Features that say something of the classes."""
    return perfect(count, classes, width, spread=0.5)
