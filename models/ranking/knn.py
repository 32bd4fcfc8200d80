"""Leave-one-out nearest neighbours: what the five features at the smallest angle to an example's say of its target.

Of classes the share of examples whose neighbours' most common class is theirs (of equally common ones that of the
nearest), from 0 to 1, chance is about 1 / C; of numbers R2 of the neighbours' mean, 1 at best, near 0 or a little below
where features say nothing. It fits nothing, so it shows whether classes lie together as the features are, not
whether a plane could part them. Angles, as in Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
Discrimination", CVPR 2018: the length of a feature vector tells more of contrast than of class.
"""

import numpy as np

TITLE, RANGE = "k-NN", "accuracy, R2 of numbers"
FORMS, READS = ("classes", "numbers"), "features"
NEIGHBOURS = 5
_BLOCK = 1024


def score(given: np.ndarray, targets: np.ndarray, form: str, seed: int) -> float:
    """See above.

    Args:
        given: features, float64 [n, d].
        targets: int [n], or float [n, k].
        form: `classes` or `numbers`.
        seed: not used.
    """
    found = targets[neighbours(given, min(NEIGHBOURS, len(given) - 1))]
    if form == "classes":
        return float((_voted(found) == targets).mean())
    errors = ((found.mean(axis=1) - targets) ** 2).mean(axis=0)
    return float(np.mean(1 - errors / targets.var(axis=0)))


def neighbours(features: np.ndarray, count: int) -> np.ndarray:
    """int [n, count], the rows at the smallest angles to each but itself, the nearest first."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(lengths, 1e-12 * max(float(lengths.max()), 1e-300))
    parts = []
    for start in range(0, len(unit), _BLOCK):
        part = unit[start : start + _BLOCK]
        # Rounded: the same vectors must be equally near, whatever order sums were taken in.
        apart = np.round(1 - part @ unit.T, 12)
        apart[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        parts.append(np.argsort(apart, axis=1, kind="stable")[:, :count])
    return np.concatenate(parts)


def _voted(labels: np.ndarray) -> np.ndarray:
    """int [n], the most common of each row [n, k], of equally common ones that which stands first."""
    votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
    return labels[np.arange(len(labels)), votes.argmax(axis=1)]
