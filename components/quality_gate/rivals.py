"""The candidate beside a model of the store: on the classes both know, on the same test images."""

from typing import Any

import numpy as np

from graft.components.predict.predictions import Predictions
from graft.models import gap
from graft.models.predict import most_probable


def compare(candidate: Predictions, rival: Predictions) -> dict[str, Any]:
    """Figures of a rival, and the gap of the candidate to it.

    Names that the rival never knew would all count as its errors. So both are asked about the images of shared classes
    only, and which of the shared classes they find most probable.

    Args:
        candidate: answers on a test split.
        rival: answers on the same images.

    Returns:
        JSON types: `accuracy` over the whole test split, where a class that the rival does not know is an error;
        `classes`, the rival's; `added` and `removed`, the classes that only the candidate or only the rival knows;
        `shared`: number of `classes` and `examples`, accuracies of `candidate` and `rival`, `gap` (the fall),
        `interval` and `beyond_luck` as of `models.gap`; without shared examples the last five are None.
    """
    shared = [name for name in candidate.classes if name in rival.classes]
    figures: dict[str, Any] = {
        "accuracy": float(rival.correct.mean()),
        "classes": rival.classes,
        "added": [name for name in candidate.classes if name not in shared],
        "removed": [name for name in rival.classes if name not in shared],
    }
    rows = np.isin(candidate.labels, shared)
    empty = dict.fromkeys(("candidate", "rival", "gap", "interval", "beyond_luck"))
    figures["shared"] = {"classes": len(shared), "examples": int(rows.sum()), **empty}
    if rows.any():
        ours, theirs = (_right(model, shared, rows) for model in (candidate, rival))
        found = gap.measure(theirs[None], ours[None])
        figures["shared"] |= {
            "candidate": float(ours.mean()),
            "rival": float(theirs.mean()),
            "gap": found.mean,
            "interval": [found.low, found.high],
            "beyond_luck": found.beyond_luck,
        }
    return figures


def _right(model: Predictions, shared: list[str], rows: np.ndarray) -> np.ndarray:
    """bool, whether the most probable of the shared classes is the true one."""
    columns = np.array([model.classes.index(name) for name in shared])
    labels = np.array([shared.index(name) for name in np.array(model.labels)[rows]])
    return most_probable(model.probabilities[np.ix_(rows, columns)]) == labels
