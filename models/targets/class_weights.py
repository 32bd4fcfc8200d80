"""How much the examples of each class weigh in the loss."""

from collections.abc import Sequence

import numpy as np

from graft.models.errors import GraftError


def class_weights(option: str | dict[str, float], labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """The weight of each class in the loss.

    Args:
        option: `none`, `balanced` (n / (classes * n of the class), as scikit-learn does), or weights by class name;
            a class not named weighs 1.
        labels: int [n], the training labels.
        names: of the classes by index.

    Returns:
        float32 [classes].

    Raises:
        GraftError: a weight for a name that is not a class, or one that is not positive.
    """
    if option == "none":
        return np.ones(len(names), np.float32)
    if option == "balanced":
        counts = np.bincount(labels, minlength=len(names))
        return (len(labels) / (len(names) * np.maximum(counts, 1))).astype(np.float32)
    weights = np.ones(len(names), np.float32)
    assert isinstance(option, dict)  # `Options` allows nothing else
    for name, weight in option.items():
        if name not in names:
            raise GraftError(f"target.class_weights: {name!r} is not a class; allowed: {', '.join(names)}")
        if not weight > 0:
            raise GraftError(f"target.class_weights.{name}: received {weight}; allowed: a number above 0")
        weights[list(names).index(name)] = weight
    return weights
