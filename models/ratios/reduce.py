"""Few coordinates for features of two domains, in which a ratio can be estimated.

In many dimensions all distances are alike, so a kernel tells no row from another; and two samples of the same domain
can be told apart by chance, so a ratio ends with all the weight on a few rows. So each feature is scaled to variance 1,
over both domains as if they were of the same size, and of more features than asked for the leading principal components
are kept. They are not scaled to variance 1 again: that would make the least of them count as much as the first. The
components are those of both domains together, so a shift between the domains that is larger than what varies within
them is among the first.
"""

import numpy as np
from sklearn.decomposition import PCA

from graft.models.ratios.kernel import spread

_ROWS, _SLICE = 4096, 8192


def reduced(source: np.ndarray, target: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Both domains in the same few coordinates.

    Args:
        source: float [n, d], an array or as of `models.arrays`.
        target: float [m, d], likewise.
        most: coordinates that are kept; of fewer features all are, as they are but for their scale.

    Returns:
        float64 [n, k] and [m, k], k <= most; features that are the same for all rows are left out.
    """
    samples = [np.asarray(spread(rows, _ROWS), np.float64) for rows in (source, target)]
    mean = (samples[0].mean(axis=0) + samples[1].mean(axis=0)) / 2
    scale = np.sqrt(sum(((sample - mean) ** 2).mean(axis=0) for sample in samples) / 2)
    kept = scale > 1e-6 * max(float(scale.max()), 1e-300)

    def scaled(rows: np.ndarray) -> np.ndarray:
        return (np.asarray(rows, np.float64) - mean)[:, kept] / scale[kept]

    components = None
    if int(kept.sum()) > most:
        # Rows of each domain alike in number, so that the larger one does not decide alone.
        fewest = min(map(len, samples))
        both = np.concatenate([scaled(spread(sample, max(fewest, most))) for sample in samples])
        components = PCA(min(most, len(both)), random_state=0).fit(both).components_.T

    def coordinates(rows: np.ndarray) -> np.ndarray:
        parts = [scaled(rows[start : start + _SLICE]) for start in range(0, rows.shape[0], _SLICE)]
        return np.concatenate([part if components is None else part @ components for part in parts])

    return coordinates(source), coordinates(target)
