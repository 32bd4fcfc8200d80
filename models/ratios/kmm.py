"""Kernel mean matching: weights under which the source's mean in a kernel's feature space is the target's.

    minimise over w:  w'Kw / 2 - k'w
    with              0 <= w_i <= B,  |sum_i w_i - n| <= n eps
    where             K_ij = k(x_i, x_j),  k_i = n / m sum_j k(x_i, t_j)

x_i are the n rows of the source, t_j the m rows of the target, k the Gaussian kernel. Up to a constant the objective is
n^2 / 2 times the squared distance between the two means. Settings of the paper: B = 1000,
eps = (sqrt(n) - 1) / sqrt(n). The bandwidth is the median distance. Huang, Smola, Gretton, Borgwardt and Scholkopf,
"Correcting Sample Selection Bias by Unlabeled Data", NIPS 2006; Gretton et al., "Covariate Shift by Kernel Mean
Matching", in "Dataset Shift in Machine Learning", 2009.

K grows with the square of n, so a large source is cut into equal blocks, every 1st, 2nd, ... of a few rows, and each is
matched to all of the target. A block is a sample of the same source, and no row is left out. (ADAPT 0.4.5 halves its
rows until they fit and leaves those that then remain at weight 0: `instance_based/_kmm.py`.)
"""

import math

import numpy as np
import scipy.optimize

from graft.models.ratios.kernel import gaussian, mean_gaussian, median_bandwidth

_BLOCK = 2000
_ITERATIONS = 2000


def estimate(source: np.ndarray, target: np.ndarray, most: float = 1000.0) -> np.ndarray:
    """Weights of the source's rows; see `models.ratios`.

    Args:
        source: float64 [n, d].
        target: float64 [m, d].
        most: B.
    """
    bandwidth = median_bandwidth(source, target)
    weights = np.empty(len(source))
    blocks = math.ceil(len(source) / _BLOCK)
    for first in range(blocks):
        rows = source[first::blocks]
        matched = len(rows) * mean_gaussian(rows, target, bandwidth)
        weights[first::blocks] = match(gaussian(rows, rows, bandwidth), matched, most)
    return weights


def match(kernel: np.ndarray, matched: np.ndarray, most: float) -> np.ndarray:
    """The optimum of the problem above, float64 [n].

    The bound on the sum hardly ever binds. Where it does, its multiplier is sought by bisection: the larger it is, the
    smaller is the sum.

    Args:
        kernel: K, float64 [n, n].
        matched: k, float64 [n].
        most: B.
    """
    count = len(kernel)
    slack = count * (math.sqrt(count) - 1) / math.sqrt(count)

    def optimum(multiplier: float) -> np.ndarray:
        pull = matched - multiplier

        def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
            spread = kernel @ weights
            return float(weights @ (spread / 2 - pull)) / count, (spread - pull) / count

        options = {"maxiter": _ITERATIONS, "maxfun": 2 * _ITERATIONS, "ftol": 1e-12, "gtol": 1e-8}
        start, bounds = np.ones(count), [(0.0, most)] * count
        return scipy.optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x

    weights = optimum(0.0)
    total = float(weights.sum())
    allowed = min(max(total, count - slack), count + slack)
    if total == allowed or most * count <= allowed:
        return weights
    # At a multiplier of k less all of K's row sums times B every weight is at B, at one of max k all are 0.
    low, high = float((matched - most * kernel.sum(axis=1)).min()), float(matched.max())
    low, high = (low, 0.0) if total < allowed else (0.0, high)
    found = scipy.optimize.bisect(lambda m: float(optimum(m).sum()) - allowed, low, high, rtol=1e-6, maxiter=60)
    weights = optimum(found)
    return np.minimum(weights * (allowed / weights.sum()), most)
