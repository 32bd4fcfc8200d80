"""Shrunk H-score: how much of the features' variance lies between the classes.

    score = tr( cov_a(f)^-1 (1 - a) cov(E[f | y]) ),     cov_a(f) = (1 - a) cov(f) + a tr(cov(f)) / d I

f are the features, E[f | y] the mean of an example's class, and a, from 0 to 1, is how far Ledoit and Wolf's rule draws
the covariance to a multiple of the identity. Where there are fewer than ten times as many examples as features, the
plain H-score (a = 0) rates noise highly: about (C - 1) d / n for features that say nothing of C classes. From 0 to
C - 1 (and to d), which features give whose classes are points.

It is computed in the span of the examples: beyond it the class means have nothing.

Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019; Ibrahim et al.,
"Newer is not always better: Rethinking transferability metrics, their peculiarities, stability and performance", arXiv
2110.06893 (2021), section 3; Ledoit and Wolf, J. Multivariate Analysis 88 (2004).
"""

import numpy as np

from graft.models.errors import GraftError

TITLE, RANGE = "H-score", "from 0 to classes - 1"
FORMS, READS = ("classes",), "features"


def score(given: np.ndarray, targets: np.ndarray, form: str, seed: int) -> float:
    """See above.

    Args:
        given: features, float64 [n, d].
        targets: int [n].
        form: `classes`.
        seed: not used.

    Raises:
        GraftError: features without variance.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    count, width = given.shape
    centred = given - given.mean(axis=0)
    total = float((centred**2).sum()) / count
    if not total:
        raise GraftError("score 'h_score': the features are the same for every example; allowed: that they vary")
    centred /= np.sqrt(total / width)
    shrunk = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    kept = singular > 1e-10 * singular[0]
    # Of cov_a, whose mean eigenvalue is 1 now, in the directions that have any variance.
    values = (1 - shrunk) * singular[kept] ** 2 / count + shrunk
    inside = centred @ right[kept].T
    counts = np.bincount(targets)
    means = np.stack([inside[targets == one].mean(axis=0) for one in range(len(counts))])
    between = (counts[:, None] / count * means**2).sum(axis=0)
    return float((1 - shrunk) * (between / values).sum())
