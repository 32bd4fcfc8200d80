"""Whether a window's counts differ from others: exact tests, and what keeps many of them honest.

Rows of the reference and of a window that come from one distribution are exchangeable: given how many of all rows lie
in a part of the bins, the window's share of them is hypergeometric (Fisher, "The Logic of Inductive Inference", JRSS
98, 1935). So the p-value of each part is exact, however few rows there are and however small it is. That matters: after
a hundred looks a test must hold at 1e-6, where the asymptotic chi-square is wrong and a permutation test would need
millions of draws. A signal's p-value is the smallest of its parts' times their number (Bonferroni, conservative). Parts
are the bins and, where bins are ordered, all below each edge too, which sees a shift that no single bin shows.

That a histogram's edges are values of the reference itself does no harm: the r-th smallest of m rows has j or fewer of
n others below it exactly with the hypergeometric probability, and j or more with less than that of j (Wilks,
"Statistical Prediction with Special Reference to the Problem of Tolerance Limits", AMS 13, 1942).
"""

import dataclasses
import enum
from collections.abc import Sequence

import numpy as np

_NEGLIGIBLE = 1e-10
_ROUNDING = 1 + 1e-6
"""What is neglected of a tail is less than that."""
_AT_ONCE = 32
"""Terms of a tail."""


class Form(enum.Enum):
    """What of a signal is looked at."""

    CATEGORIES = "categories"
    """Each bin, in both directions."""
    ORDERED = "ordered"
    """Each bin and all bins below each edge, in both directions."""
    RISING = "rising"
    """All bins above each edge, and only whether they hold more than before."""
    FALLING = "falling"
    """All bins below each edge, and only whether they hold more than before."""


def p_value(reference: Sequence[int], window: Sequence[int], form: Form) -> float:
    """Chance of counts at least as far apart if nothing changed, or more than that chance.

    Args:
        reference: rows in each bin, int [bins].
        window: likewise of the window.
        form: what is looked at.

    Returns:
        At most 1; 1 where either has no row.
    """
    before, now = np.asarray(reference, np.int64), np.asarray(window, np.int64)
    if before.shape != now.shape or before.ndim != 1:
        raise ValueError(f"counts of {before.shape} bins and of {now.shape} bins cannot be compared")
    drawn, total = int(now.sum()), int(before.sum() + now.sum())
    if drawn in (0, total):
        return 1.0
    present = before + now > 0  # of both together: what the test is conditioned on
    hits, pooled = _parts(now[present], form), _parts((before + now)[present], form)
    if not len(pooled):
        return 1.0
    p = more_than(hits, drawn, pooled, total)
    if form in (Form.CATEGORIES, Form.ORDERED):
        p = 2 * np.minimum(p, more_than(drawn - hits, drawn, total - pooled, total))
    return float(min(1.0, len(p) * p.min()))


def _parts(counts: np.ndarray, form: Form) -> np.ndarray:
    """Rows in each part that is looked at; no part is there twice, or with its complement."""
    if len(counts) < 2:
        return counts[:0]
    if form is Form.CATEGORIES:
        return counts if len(counts) > 2 else counts[:1]
    below = np.cumsum(counts)[:-1]
    if form is Form.RISING:
        return counts.sum() - below
    return below if form is Form.FALLING else np.concatenate([below, counts[1:-1]])


def more_than(hits: np.ndarray, drawn: int, marked: np.ndarray, total: int) -> np.ndarray:
    """P(X >= hits), X hypergeometric, or 1 where hits are no more than expected.

    Args:
        hits: int [k], of the drawn rows those that are marked.
        drawn: rows of the window.
        marked: int [k], of all rows those that are marked.
        total: all rows.
    """
    from scipy.special import gammaln

    def ways(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
        return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)

    p = np.ones(len(hits))
    above = np.flatnonzero(hits * float(total) > drawn * marked.astype(float))
    x, k = hits[above].astype(float), marked[above].astype(float)
    first = np.exp(ways(k, x) + ways(total - k, drawn - x) - ways(total, drawn))
    term, tail, steps = np.ones(len(x)), np.ones(len(x)), np.arange(_AT_ONCE)
    while len(x) and (term > _NEGLIGIBLE * tail).any():
        at = x[:, None] + steps
        # Each term is the one before times a ratio, which falls above the mean and ends in 0.
        ratios = (k[:, None] - at) * (drawn - at) / ((at + 1) * (total - k[:, None] - drawn + at + 1))
        terms = term[:, None] * np.cumprod(ratios, axis=1)
        tail += terms.sum(axis=1)
        term, x = terms[:, -1], x + _AT_ONCE
    p[above] = np.minimum(1.0, first * tail * _ROUNDING)
    return p


def distance(reference: Sequence[int], window: Sequence[int]) -> float:
    """Jensen-Shannon distance of the shares, 0 (alike) to 1 (no value in common), less what luck makes of it.

    The square is what TFDV limits (Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Transactions on
    Information Theory 37, 1991; base 2). Samples of one distribution are apart by (bins - 1) / 8 ln 2 * (1 / n + 1 / m)
    on average, since 8 n m / (n + m) ln 2 of it is nearly chi-square; that is taken away, so that few rows and many
    bins are no change. 0 where a side has no row.
    """
    from scipy.spatial.distance import jensenshannon

    before, now = np.asarray(reference, float), np.asarray(window, float)
    present = int((before + now > 0).sum())
    if not before.sum() or not now.sum() or present < 2:
        return 0.0
    luck = (present - 1) / (8 * np.log(2)) * (1 / before.sum() + 1 / now.sum())
    return float(np.sqrt(max(0.0, jensenshannon(before, now, base=2) ** 2 - luck)))


def spent(false_alarms: float, look: int) -> float:
    """What a version's `look`-th look (from 1) may spend of the chance that it ever has a false alarm.

    1/2, 1/6, 1/12, ... of it: all looks together, however many, spend no more than the whole. By the union bound that
    holds whether or not the looks depend on one another, and all are held against the same reference.
    """
    return false_alarms / (look * (look + 1))


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which of a family are significant so that the chance of one false among them is at most `level`.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979; the
    tests may depend on one another.
    """
    found = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        if p_values[place] > level / (len(p_values) - rank):
            break
        found[place] = True
    return found


def beyond(hits: int, rows: int, most: float) -> float:
    """Chance of `hits` or more of `rows` where the true share is `most`: the exact binomial test."""
    from scipy.stats import binom

    return float(binom.sf(hits - 1, rows, most))


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and where the true one lies with the confidence that was asked for."""

    mean: float
    low: float
    high: float


def share_interval(hits: int, rows: int, miss: float) -> Interval:
    """A share with its Clopper-Pearson interval (Biometrika 26, 1934), which misses at most as often as `miss`.

    Args:
        hits: of the rows.
        rows: above 0.
        miss: chance that the true share lies outside.
    """
    from scipy.stats import beta

    low = beta.ppf(miss / 2, hits, rows - hits + 1) if hits else 0.0
    high = beta.ppf(1 - miss / 2, hits + 1, rows - hits) if hits < rows else 1.0
    return Interval(hits / rows, float(low), float(high))


def mean_interval(total: float, squares: float, rows: int, lowest: float, highest: float, miss: float) -> Interval:
    """A mean of bounded values with its empirical Bernstein interval, which holds for any distribution.

    Maurer and Pontil, "Empirical Bernstein Bounds and Sample-Variance Penalization", COLT 2009, theorem 4, for both
    sides. Where values hardly vary it is far narrower than Hoeffding's.

    Args:
        total: sum of the values.
        squares: sum of their squares.
        rows: above 0.
        lowest, highest: between which each value lies.
        miss: chance that the true mean lies outside.
    """
    mean, span = total / rows, highest - lowest
    if rows < 2:
        return Interval(mean, lowest, highest)
    variance = max(0.0, (squares - rows * mean**2) / (rows - 1))
    log = float(np.log(4 / miss))
    reach = float(np.sqrt(2 * variance * log / rows)) + 7 * span * log / (3 * (rows - 1))
    return Interval(mean, max(lowest, mean - reach), min(highest, mean + reach))
