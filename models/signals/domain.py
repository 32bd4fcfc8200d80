"""Whether feature vectors of a window can be told from the reference's: a domain classifier and its exact test.

A classifier learns on one half of both to tell them apart; on the other half its AUC is measured (classifier two-sample
test: Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017). The halves share no row. So if all rows
come from one distribution, the scores of the second half are exchangeable whatever was learned, their ranks are those
of a shuffle, and the p-value is exact for any classifier and any number of dimensions: Mann and Whitney's U, "On a Test
of Whether one of Two Random Variables is Stochastically Larger than the Other", AMS 18, 1947. Kernel tests (MMD) have
no such distribution: permutations do not reach the small chances that a hundredth look needs, and approximations of
their tail do not hold there.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

FEWEST = 10
"""Rows that each side must have in each half."""
SURE = 0.95
"""Of the interval."""

_SHRINKAGE = 0.01

_FLAT = 1e-3
"""A column varies at least so much, as a part of the one that varies most: else what a processor rounds differently
would tell two machines apart."""


@dataclasses.dataclass(frozen=True)
class Apart:
    """How well two samples are told apart.

    Attributes:
        auc: chance that the classifier takes a new row of the window and one of the reference for what they are, 0.5
            by guessing, 1 always.
        low, high: `SURE` interval of the AUC of this classifier, for any distribution.
        p_value: chance of such an AUC or a larger one if both were of one distribution; exact.
        rows: of the second halves, both together.
    """

    auc: float
    low: float
    high: float
    p_value: float
    rows: int


def told_apart(reference: np.ndarray, window: np.ndarray) -> Apart:
    """Learns on the rows at even places, measures on the others. The same samples give the same result.

    Args:
        reference: float [m, k], rows in an order that does not depend on their values.
        window: float [n, k], likewise.

    Raises:
        ValueError: a side has fewer than 2 * `FEWEST` rows, or a value is no finite number.
    """
    if min(len(reference), len(window)) < 2 * FEWEST:
        raise ValueError(f"{len(reference)} and {len(window)} rows; at least {2 * FEWEST} each are needed")
    before, now = np.asarray(reference, np.float64), np.asarray(window, np.float64)
    if not np.isfinite(before).all() or not np.isfinite(now).all():
        raise ValueError("values must be finite numbers")
    score = _learned(before[::2], now[::2])
    before_scores, now_scores = score(before[1::2]), score(now[1::2])
    wins = _wins(before_scores, now_scores)
    pairs = len(before_scores) * len(now_scores)
    auc = wins / pairs
    # Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58, 1963, section 5b.
    reach = math.sqrt(math.log(2 / (1 - SURE)) / (2 * min(len(before_scores), len(now_scores))))
    return Apart(
        auc=auc,
        low=max(0.0, auc - reach),
        high=min(1.0, auc + reach),
        p_value=u_tail(len(before_scores), len(now_scores), pairs - wins) if auc > 0.5 else 1.0,
        rows=len(before_scores) + len(now_scores),
    )


def _learned(before: np.ndarray, now: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A score [n] of rows [n, k], the higher the more they look like `now`.

    Logistic regression on standardised columns, shrunk so much (C) that few rows of many dimensions do no harm. It
    sees means that moved, in any direction; a change of spread alone only where that moves them.
    """
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([before, now])
    scale = rows.std(axis=0)
    if not scale.max():
        return lambda values: np.zeros(len(values))
    middle, scale = rows.mean(axis=0), np.maximum(scale, _FLAT * scale.max())
    model = LogisticRegression(C=_SHRINKAGE, class_weight="balanced", max_iter=1000)
    model.fit((rows - middle) / scale, np.repeat([0, 1], [len(before), len(now)]))
    return lambda values: model.decision_function((values - middle) / scale)


def _wins(before: np.ndarray, now: np.ndarray) -> int:
    """Pairs in which the row of `now` has the higher score; equal scores are ordered by a fixed shuffle.

    So all ranks differ, and those of one distribution are still those of a shuffle.
    """
    scores = np.concatenate([before, now])
    order = np.lexsort((np.random.default_rng(0).permutation(len(scores)), scores))
    ranks = np.empty(len(scores), np.int64)
    ranks[order] = np.arange(len(scores))
    return int(ranks[len(before) :].sum()) - len(now) * (len(now) - 1) // 2


def u_tail(m: int, n: int, most: int) -> float:
    """P(U <= most) of Mann and Whitney's U of m and n rows without ties, 0 <= most <= m * n.

    Exact, by the recurrence of Loeffler ("Ueber eine Partition der nat. Zahlen und ihre Anwendung beim U-Test",
    Wissenschaftliche Zeitschrift der Universitaet Halle 32, 1983): u * count(u) = sum of count(i) * sigma(u - i) over
    i < u, where sigma(k) is the sum of k's divisors up to m, less those from n + 1 to n + m. SciPy 1.12 walks through
    all m * n values, which takes minutes.
    """
    from scipy.special import gammaln

    if not 0 <= most <= m * n:
        raise ValueError(f"U is between 0 and {m * n}; received {most}")
    sigma = np.zeros(most + 1)
    for divisor in range(1, m + 1):
        sigma[divisor::divisor] += divisor
    for divisor in range(n + 1, n + m + 1):
        sigma[divisor::divisor] -= divisor
    backwards = sigma[::-1].copy()
    share = np.zeros(most + 1)
    # Shares of all ways, not their numbers, would vanish; the numbers of 500 and 300 rows are below 1e230.
    share[0] = 1.0
    for u in range(1, most + 1):
        share[u] = share[:u] @ backwards[most - u : most] / u
    return float(min(1.0, share.sum() * np.exp(gammaln(m + 1) + gammaln(n + 1) - gammaln(m + n + 1))))
