"""The domain classifier's test holds its chance of a false alarm, and sees shifts of known size."""

import collections
import itertools

import numpy as np
import pytest
import scipy.stats

from benchmarks.drift_power import told
from graft.models.signals import domain
from graft.models.signals.domain import told_apart, u_tail
from graft.monitoring.drift.statistics import spent


def samples(seed: int, rows: int = 60, columns: int = 8, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A reference and a window; the shift is in standard deviations, along one direction."""
    rng = np.random.default_rng(seed)
    window = rng.normal(size=(rows, columns)) + shift / np.sqrt(columns)
    return rng.normal(size=(rows, columns)), window


def test_the_tail_is_that_of_all_orders():
    ways = collections.Counter(sum(places) - 6 for places in itertools.combinations(range(9), 4))
    for most in range(21):
        share = sum(ways[u] for u in range(most + 1)) / sum(ways.values())
        assert u_tail(4, 5, most) == pytest.approx(share, rel=1e-12)
    with pytest.raises(ValueError, match="U is between 0 and 20; received 21"):
        u_tail(4, 5, 21)


def test_far_out_it_is_exact_where_the_normal_approximation_is_not():
    assert u_tail(30, 40, 0) == pytest.approx(1 / scipy.special.comb(70, 30), rel=1e-9)
    middle = u_tail(256, 250, 28_711)
    assert middle == pytest.approx(scipy.stats.norm.sf(2), rel=0.01) and u_tail(256, 250, 18_844) < 2e-16


def test_false_alarms_are_no_more_than_stated():
    p_values = np.array([told_apart(*samples(seed)).p_value for seed in range(150)])
    for level in (0.3, 0.1, 0.02):
        assert scipy.stats.binom.sf((p_values <= level).sum() - 1, len(p_values), level) > 1e-3
    assert (p_values <= 0.3).sum() > 20, "not for being blind"


def test_measured_on_what_it_learned_from_they_would_be_more(monkeypatch):
    """The twin: the classifier knows the second half."""
    learned = domain._learned
    both = {seed: samples(seed) for seed in range(30)}

    def told(seed):
        monkeypatch.setattr(domain, "_learned", lambda *_: learned(*(side[1::2] for side in both[seed])))
        return told_apart(*both[seed]).p_value

    assert np.mean([told(seed) <= 0.02 for seed in both]) > 0.5


def test_a_shift_is_seen_and_says_how_far():
    apart = told_apart(*samples(1, rows=400, shift=1.0))
    expected = scipy.stats.norm.cdf(1 / np.sqrt(2))
    assert apart.p_value < 1e-9 and apart.low < expected < apart.high and abs(apart.auc - expected) < 0.06
    assert apart == told_apart(*samples(1, rows=400, shift=1.0))
    less = told_apart(*samples(1, rows=400, shift=0.5))
    assert 0.5 < less.auc < apart.auc and less.p_value < 0.01


def test_of_known_shifts_the_larger_is_an_alarm_at_a_late_look():
    level = spent(0.05, 11) / 20
    auc, p_values = told(4, 200, 2.0, seed=1)
    assert (p_values <= level).all() and (auc > 0.8).all()
    assert not (told(4, 200, 0.0, seed=1)[1] <= level).any()


def test_equal_rows_are_no_change():
    same = np.ones((50, 3))
    assert told_apart(same, same).p_value > 0.01 and abs(told_apart(same, same).auc - 0.5) < 0.3


def test_what_processors_round_differently_is_no_change():
    before, now = samples(3)
    before[:, 0], now[:, 0] = 0.1, 0.1 + 1e-7
    assert told_apart(before, now).p_value > 1e-3
    now[:, 0] = 0.2
    assert told_apart(before, now).p_value < 1e-9


@pytest.mark.parametrize(("rows", "value", "said"), [(19, 0.0, "at least 20 each"), (40, np.nan, "finite")])
def test_what_cannot_be_compared_is_refused(rows, value, said):
    before, now = samples(0)
    with pytest.raises(ValueError, match=said):
        told_apart(before, now[:rows] + value)
