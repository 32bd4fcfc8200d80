"""The tests are exact, hold their rate whatever the bins, and see what has moved."""

import numpy as np
import pytest
import scipy.stats

from graft.models.signals.histogram import Categories, Numbers
from graft.monitoring.drift import statistics
from graft.monitoring.drift.statistics import Form, distance, holm, more_than, p_value, spent


def at_most(hits: int, tries: int, rate: float) -> bool:
    """Whether so many false alarms may be those of that rate: more come by chance once in a thousand tests."""
    return scipy.stats.binom.sf(hits - 1, tries, rate) > 1e-3


def test_a_tail_is_scipys():
    rng = np.random.default_rng(0)
    marked, hits = rng.integers(20, 400, 300), rng.integers(0, 60, 300)
    found, exact = more_than(hits, 100, marked, 1000), scipy.stats.hypergeom.sf(hits - 1, 1000, marked, 100)
    above = hits * 1000 > marked * 100
    assert np.allclose(found[above], exact[above], rtol=1e-5, atol=0) and (found >= exact * (1 - 1e-9)).all()
    assert (found[~above] == 1).all() and exact[above].min() < 1e-30


def test_two_categories_are_fishers_exact_test():
    _, exact = scipy.stats.fisher_exact([[30, 70], [12, 88]], "greater")
    assert p_value([12, 88], [30, 70], Form.CATEGORIES) == pytest.approx(2 * exact, rel=1e-5)
    assert p_value([88, 12], [70, 30], Form.RISING) == pytest.approx(exact, rel=1e-5)
    assert p_value([88, 12], [70, 30], Form.FALLING) == 1


def test_there_is_nothing_to_say_without_rows_or_bins():
    assert p_value([0, 0], [3, 4], Form.ORDERED) == p_value([3, 4], [0, 0], Form.ORDERED) == 1
    assert p_value([5, 0], [9, 0], Form.CATEGORIES) == 1, "one bin"
    assert distance([0, 0], [3, 4]) == distance([3, 4], [0, 0]) == distance([5, 0], [9, 0]) == 0
    with pytest.raises(ValueError, match=r"\(2,\) bins and of \(3,\) bins"):
        p_value([1, 2], [1, 2, 3], Form.ORDERED)


def draw_normal(rng: np.random.Generator) -> tuple[Numbers, np.ndarray, np.ndarray]:
    values = rng.normal(size=600)
    return Numbers.fit("x", "", values[:400]), values[:400], values[400:]


def draw_discrete(rng: np.random.Generator) -> tuple[Numbers, np.ndarray, np.ndarray]:
    """Some values fill bins by themselves."""
    values = rng.poisson(2, 600).astype(float)
    return Numbers.fit("x", "", values[:400]), values[:400], values[400:]


def draw_rare(rng: np.random.Generator) -> tuple[Categories, np.ndarray, np.ndarray]:
    """Categories that are known beforehand, most of them rare."""
    values = np.minimum(rng.geometric(0.2, 600), 30).astype(str)
    return Categories("x", tuple(map(str, range(1, 31)))), values[:400], values[400:]


@pytest.mark.slow
@pytest.mark.parametrize("draw", [draw_normal, draw_discrete, draw_rare])
def test_false_alarms_are_no_more_than_stated_though_the_bins_are_the_references_own(draw):
    rng = np.random.default_rng(5)
    found = []
    for _ in range(1500):
        signal, before, now = draw(rng)
        form = Form.ORDERED if isinstance(signal, Numbers) else Form.CATEGORIES
        found.append(p_value(signal.counts(before.tolist()), signal.counts(now.tolist()), form))
    for rate in (0.2, 0.05, 0.01):
        assert at_most(int((np.array(found) <= rate).sum()), len(found), rate)
    assert np.mean(np.array(found) <= 0.2) > 0.02, "and they are not for nothing"


def test_bins_that_were_chosen_for_being_full_would_raise_false_alarms():
    """The twin: why classes have a bin each, see `models.signals.collect`."""
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        values = rng.integers(0, 2000, 3000).astype(str).tolist()
        signal = Categories.fit("x", values[:2500])
        found.append(p_value(signal.counts(values[:2500]), signal.counts(values[2500:]), Form.CATEGORIES))
    assert not at_most(sum(p <= 0.05 for p in found), len(found), 0.05)


def test_a_shift_is_seen_no_worse_than_by_chi_square():
    rng, ours, chi2 = np.random.default_rng(1), [], []
    edges = scipy.stats.norm.ppf(np.linspace(0, 1, 11))
    for _ in range(100):
        before = rng.multinomial(3000, np.full(10, 0.1))
        now = rng.multinomial(500, np.diff(scipy.stats.norm.cdf(edges - 0.2)))
        ours.append(p_value(before, now, Form.ORDERED) <= 0.001)
        chi2.append(scipy.stats.chi2_contingency([before, now]).pvalue <= 0.001)
    assert np.mean(ours) >= np.mean(chi2) > 0.2


def test_one_new_category_is_seen():
    before, now = [500] * 6 + [0], [50] * 6 + [9]
    assert p_value(before, now, Form.CATEGORIES) < 1e-5


def test_the_distance_is_that_of_scipy_less_luck():
    before, now = np.array([800, 200]), np.array([100, 100])
    plain = scipy.spatial.distance.jensenshannon(before, now, base=2)
    assert distance(before, now) == pytest.approx(plain, rel=0.02) and distance(before, now) < plain
    assert distance([1000, 0], [0, 1000]) == pytest.approx(1, abs=1e-3)
    rng = np.random.default_rng(0)
    alike = [distance(rng.multinomial(2000, [0.05] * 20), rng.multinomial(200, [0.05] * 20)) for _ in range(50)]
    assert (
        np.median(alike)
        < 0.1
        < np.median(
            [
                scipy.spatial.distance.jensenshannon([0.05] * 20, rng.multinomial(200, [0.05] * 20), base=2)
                for _ in range(50)
            ]
        )
    )


def test_all_looks_together_spend_no_more_than_the_whole():
    spendings = [spent(0.05, look) for look in range(1, 5001)]
    assert spendings[0] == 0.025 and 0.0499 < sum(spendings) < 0.05


def test_holm_is_statsmodels_example():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([0.012, 0.013, 0.02], 0.05) == [True, True, True] and holm([], 0.05) == []
    assert holm([0.02, 0.001], 0.04) == [True, True] and holm([0.03, 0.03], 0.05) == [False, False]


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(2)
    shares = [statistics.share_interval(int(hits), 40, 0.1) for hits in rng.binomial(40, 0.9, 1000)]
    assert at_most(sum(not one.low <= 0.9 <= one.high for one in shares), 1000, 0.1)
    assert statistics.share_interval(0, 10, 0.1).low == 0 and statistics.share_interval(10, 10, 0.1).high == 1
    skewed = rng.beta(8, 1, (1000, 200))
    means = [statistics.mean_interval(v.sum(), (v**2).sum(), 200, 0, 1, 0.1) for v in skewed]
    assert at_most(sum(not one.low <= 8 / 9 <= one.high for one in means), 1000, 0.1)
    assert np.median([one.high - one.low for one in means]) < 0.2
    assert statistics.mean_interval(0.5, 0.25, 1, 0, 1, 0.1) == statistics.Interval(0.5, 0, 1)


def test_a_limit_on_a_share_is_a_binomial_test():
    assert statistics.beyond(9, 100, 0.05) == pytest.approx(scipy.stats.binomtest(9, 100, 0.05, "greater").pvalue)
    assert statistics.beyond(0, 100, 0.05) == 1
