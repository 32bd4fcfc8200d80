"""LogME: how likely the targets are under a Bayesian linear model of the features, at its best prior and noise.

    score = mean over target columns of  max_{a, b}  log p(y | F, a, b) / n
    log p = r/2 log a + n/2 log b - 1/2 sum_i log(a + b s_i) - b/2 |y - F m|^2 - a/2 |m|^2 - n/2 log(2 pi)

F [n, d] are the features, s_i the squares of their r singular values that are above 0, y a column of targets (of a
class: 1 or 0), a the precision of the weights' prior and b that of the noise, m the posterior mean of the weights.
Where there are more features than examples, the d - r directions without features bring d - r times log a, which
takes d/2 log a down to r/2 log a; an implementation that sums over min(n, d) values only and keeps d/2 log a is wrong
there. The maximum is a fixed point: g = sum s_i / (s_i + a/b), a = g / |m|^2, b = (n - g) / |y - F m|^2.

The evidence does not change when all features are multiplied by one number; they are scaled to a mean square of 1
here, so that what keeps denominators from 0 means the same at any scale. There is no intercept: the features have their
means. Reference settings: 11 iterations at most and a tolerance of 1e-3 on a/b; here 100 and 1e-4, for iterations cost
next to nothing once F is decomposed.

You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021, and the fixed point
of arXiv 2110.10545, section 4.
"""

import math

import numpy as np

from graft.models import ranking

TITLE, RANGE = "LogME", "log evidence of an example, nats"
FORMS, READS = ("classes", "labels", "numbers"), "features"
_ITERATIONS, _TOLERANCE = 100, 1e-4
_FLOOR = 1e-10
"""What a square may fall to, of targets and features whose squares are near 1."""


def score(given: np.ndarray, targets: np.ndarray, form: str, seed: int) -> float:
    """The mean over the columns of the targets.

    Args:
        given: features, float64 [n, d].
        targets: as of `models.ranking.sample.Sample`.
        form: of them.
        seed: not used.
    """
    columns = ranking.one_hot(targets) if form == "classes" else targets.astype(np.float64)
    scale = math.sqrt(float((given**2).mean())) or 1.0
    left, singular, _ = np.linalg.svd(given / scale, full_matrices=False)
    kept = singular > 1e-10 * max(float(singular[0]), 1e-300)
    squares, left = singular[kept] ** 2, left[:, kept]
    return float(np.mean([evidence(squares, left, column) for column in columns.T]))


def evidence(squares: np.ndarray, left: np.ndarray, column: np.ndarray) -> float:
    """The largest log evidence of an example.

    Args:
        squares: [r], of the features' singular values, above 0.
        left: [n, r], their left singular vectors.
        column: [n], targets.
    """
    count, rank = len(column), len(squares)
    inside = (left.T @ column) ** 2
    outside = max(float(column @ column - inside.sum()), 0.0)
    ratio, found = 1.0, -math.inf
    for _ in range(_ITERATIONS):
        fitted = float((squares / (squares + ratio)).sum())
        weights = float((squares * inside / (squares + ratio) ** 2).sum())
        error = float((inside * (ratio / (squares + ratio)) ** 2).sum()) + outside
        prior = fitted / (weights + _FLOOR)
        noise = max(count - fitted, _FLOOR) / (error + _FLOOR)
        before, found = found, _evidence(squares, rank, count, prior, noise, error, weights)
        following = prior / noise
        if abs(following - ratio) <= _TOLERANCE * ratio or abs(found - before) <= 1e-9:
            break
        ratio = following
    return found


def _evidence(
    squares: np.ndarray, rank: int, count: int, prior: float, noise: float, error: float, weights: float
) -> float:
    total = (
        rank / 2 * math.log(prior) + count / 2 * math.log(noise) - 0.5 * float(np.log(prior + noise * squares).sum())
    )
    return (total - noise / 2 * error - prior / 2 * weights) / count - 0.5 * math.log(2 * math.pi)
