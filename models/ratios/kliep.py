"""KLIEP: the ratio under which the weighted source is nearest to the target in Kullback-Leibler divergence.

    w(x) = sum_l a_l k(x, c_l)
    maximise over a >= 0:  mean_j log w(t_j)   with  mean_i w(x_i) = 1

x_i are the n rows of the source, t_j the m rows of the target, c_l at most 100 of the target's rows, k the Gaussian
kernel; of more than 1,000 t_j so many decide. The bandwidth is that part or multiple of the median distance which has
the highest mean log w on held-out rows of the target (likelihood cross-validation, 5 folds). Sugiyama, Nakajima,
Kashima, von Bunau and Kawanabe, "Direct Importance Estimation with Model Selection and Its Application to Covariate
Shift Adaptation", NIPS 2007.

With b_l = mean_i k(x_i, c_l) and p_l = a_l b_l the constraint says that p is a distribution, and the problem is that of
the shares in a mixture of k(., c_l) / b_l. Its maximum is found by expectation maximisation, which needs no step size
and never goes down; the paper climbs the gradient and projects.

Where the source has nothing, the ratio has no bound, and the likelihood would reward a narrow kernel for it. So a
centre takes part only if the source's rows give it at least the kernel value of one row that lies on it: n b_l >= 1.
"""

import numpy as np

from graft.models.errors import GraftError
from graft.models.ratios.kernel import gaussian, mean_gaussian, median_bandwidth, spread

CENTRES, FOLDS = 100, 5
BANDWIDTHS = (0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0)
"""Of the median distance."""

_ROWS = 1000
_ITERATIONS, _GAIN = 300, 1e-5
_SLICE = 65536


def estimate(source: np.ndarray, target: np.ndarray, most: float = 1000.0) -> np.ndarray:
    """Weights of the source's rows, of mean 1 before those above `most` are cut; see `models.ratios`.

    Args:
        source: float64 [n, d].
        target: float64 [m, d].
        most: largest weight.

    Raises:
        GraftError: no row of the source is near one of the target.
    """
    median, target = median_bandwidth(source, target), spread(target, _ROWS)
    fitted = [_Fitted(source, target, part * median) for part in BANDWIDTHS]
    scores = [one.held_out() for one in fitted]
    best = fitted[int(np.argmax(scores))]
    if not np.isfinite(max(scores)):
        raise GraftError(
            "transfer.estimator: kliep finds no example of the source domain near those of the target domain; there is "
            "no ratio where the domains do not overlap. Choose method 'joint', or leave the source out"
        )
    shares = best.shares(best.kernels)
    parts = (source[start : start + _SLICE] for start in range(0, len(source), _SLICE))
    weights = np.concatenate([best.kernels_of(rows) @ shares for rows in parts])
    return np.minimum(weights, most)


class _Fitted:
    """The mixture at one bandwidth.

    Attributes:
        kernels: k(t_j, c_l) / b_l, float64 [m, c], of the centres that take part.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray, bandwidth: float):
        centres = spread(target, CENTRES)
        means = mean_gaussian(centres, source, bandwidth)
        near = len(source) * means >= 1
        self._centres, self._means, self._bandwidth = centres[near], means[near], bandwidth
        self.kernels = self.kernels_of(target)

    def kernels_of(self, rows: np.ndarray) -> np.ndarray:
        """float64 [n, c]."""
        return gaussian(rows, self._centres, self._bandwidth) / self._means

    def shares(self, kernels: np.ndarray) -> np.ndarray:
        """p, float64 [c], for these rows of the target; rows that no centre reaches say nothing of it."""
        kernels = kernels[kernels.sum(axis=1) > 0]
        shares = np.full(kernels.shape[1], 1 / max(1, kernels.shape[1]))
        before = -np.inf
        for _ in range(_ITERATIONS):
            ratios = kernels @ shares
            likelihood = float(np.log(ratios).mean()) if len(ratios) else 0.0
            if likelihood - before < _GAIN:
                break
            before = likelihood
            shares = shares * (kernels / ratios[:, None]).mean(axis=0)
        return shares

    def held_out(self) -> float:
        """Mean log ratio of rows of the target, each from the others; minus infinity where it is 0 at one."""
        count = len(self.kernels)
        folds = np.arange(count) % min(FOLDS, count)
        if not self.kernels.shape[1]:
            return -np.inf
        logs = np.empty(count)
        for fold in range(int(folds.max()) + 1):
            out = folds == fold
            shares = self.shares(self.kernels if out.all() else self.kernels[~out])
            with np.errstate(divide="ignore"):
                logs[out] = np.log(self.kernels[out] @ shares)
        return float(logs.mean())
