"""A version's looks: false alarms over its whole life are no more than stated, and drifts are seen soon."""

import numpy as np
import pytest
import scipy.stats

from benchmarks.drift_power import Life, delays, false_alarms
from graft.monitoring.drift import judging
from graft.monitoring.drift.judging import Compared, Memory
from graft.monitoring.drift.options import DriftOptions


@pytest.mark.slow
def test_false_alarms_of_a_whole_life_are_no_more_than_stated():
    """Twelve looks at ten correlated signals, twice each, may fail in one life of two; those that do are far fewer."""
    lives = 25
    assert scipy.stats.binom.sf(false_alarms(lives, windows=12, rows=300, seed=7, promised=0.5) - 1, lives, 0.5) > 1e-3


def test_without_correction_they_would_be_more(monkeypatch):
    """The twin: each comparison at the level that all looks have together."""
    monkeypatch.setattr(judging, "spent", lambda false_alarms, look: false_alarms)
    monkeypatch.setattr(judging, "holm", lambda p_values, level: [p <= level for p in p_values])
    assert false_alarms(10, windows=12, rows=300, seed=7, promised=0.5) == 10


def test_a_large_drift_is_seen_at_once_a_small_one_later_and_none_is_not():
    assert {large for _, large in delays(6, 1000, 0.5, seed=1)} == {1}
    slow = [any_size for any_size, _ in delays(4, 300, 0.35, seed=1)]
    assert max(slow) > 1 and min(slow) <= 20
    assert all(large == 21 for _, large in delays(1, 300, 0.0, seed=1))


def compared(signal: str, p: float, effect: float = 0.2, **changes) -> Compared:
    values = {"group": "input", "against": "reference", "rows": 9, "least_effect": 0.1, **changes}
    return Compared(signal=signal, effect=effect, p_value=p, **values)


def test_an_alarm_is_significant_and_large():
    memory = Memory()
    tests = judging.judged(
        [compared("small", 1e-9, effect=0.05), compared("a", 1e-9), compared("b", 0.5)], memory, 0.05
    )
    assert [(test.signal, test.alarm) for test in tests] == [("small", False), ("a", True), ("b", False)]
    assert {test.level for test in tests} == {0.025} and memory.looks == 1


def test_each_look_has_less_to_spend():
    memory = Memory()
    levels = [judging.judged([compared("a", 0.01)], memory, 0.06)[0] for _ in range(3)]
    assert [test.level for test in levels] == pytest.approx([0.03, 0.01, 0.005])
    assert [test.alarm for test in levels] == [True, True, False] and memory.in_row == {"input": 0}


def test_windows_in_a_row_are_counted_by_group():
    memory = Memory()
    for p in (1e-9, 1e-9):
        judging.judged([compared("a", p), compared("errors", 0.9, group="service")], memory, 0.05)
    assert memory.in_row == {"input": 2, "service": 0}
    judging.judged([compared("a", 1e-9, against="previous"), compared("a", 0.9)], memory, 0.05)
    assert memory.in_row == {"input": 0, "service": 0}, "back to what it should be"
    judging.judged([compared("score", 1e-9, group="quality")], memory, 0.05)
    assert memory.in_row == {"input": 0, "service": 0, "quality": 1}


def test_a_window_tells_what_it_was():
    window = Life(np.random.default_rng(0), DriftOptions()).window(500)
    assert (window.requests, window.statuses, window.latency_s["0.99"]) == (500, {"OK": 500}, 1e-4)
    assert window.estimate is None and window.reference_time is None
    assert window.begin == 0 and window.end == 86_400, "no request had a time: that of its spans"
    assert {test.against for test in window.tests} == {"reference"} and len(window.tests) == 10
