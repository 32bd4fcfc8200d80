"""Windows by count and by time: none overlaps, none leaves a request out, whatever clocks do."""

import dataclasses
import json
import math

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.monitoring.drift.options import WindowOptions
from graft.monitoring.drift.rows import NO_INPUTS, OK, STATUSES, UNMEASURED, Rows
from graft.monitoring.drift.windows import LATENCY_S, Windows
from graft.pipeline import config as configs

HOUR = 3600.0
BEGIN = 480_000 * HOUR
"""Where a span of one hour begins."""
NOW = BEGIN + 1000 * HOUR


def rows(times, **changes) -> Rows:
    """Answered requests of one example each, in bin 0 of 2."""
    count = len(times)
    examples = int(changes["examples"].sum()) if "examples" in changes else count
    values = {
        "version": 1,
        "keys": np.zeros((count, 17), np.uint8),
        "times": np.array(times, float),
        "seconds": np.full(count, 0.01),
        "statuses": np.full(count, OK, np.uint8),
        "unlogged": np.zeros(count, np.uint8),
        "examples": np.ones(count, np.int32),
        "bins": np.zeros((examples, 1), np.int16),
        "violations": np.full(examples, -1, np.int16),
        "reasons": (),
        "offsets": np.arange(count),
    }
    return Rows(**values | changes)


def windows(**changes) -> Windows:
    values = {"rows": 10, "hours": 1, "least": 3, "grace_minutes": 15, **changes}
    return Windows(WindowOptions(**values), {"x": 2})


def sizes(found) -> list[tuple[int, str]]:
    return [(full.window.size, full.reason) for full in found]


def test_a_window_is_full_after_so_many_rows():
    one = windows()
    found = list(one.add(rows(BEGIN + np.arange(25.0)), NOW))
    assert sizes(found) == [(10, "rows"), (10, "rows")] and [w.size for w in one.open] == [5]
    assert [(full.window.begin - BEGIN, full.window.end - BEGIN) for full in found] == [(0, 9), (10, 19)]
    assert sizes(one.add(rows(BEGIN + 30 + np.arange(5.0)), NOW)) == [(10, "rows")] and not one.open


def test_a_request_of_several_examples_is_not_torn():
    one = windows()
    [full] = one.add(rows([BEGIN] * 3, examples=np.int32([6, 7, 2])), NOW)
    assert (full.window.requests, full.window.rows) == (2, 13) and one.open[0].rows == 2


def test_a_span_ends_when_requests_are_later_than_its_grace():
    one = windows()
    assert not list(one.add(rows(BEGIN + np.array([0, 1, 2, 3, HOUR + 10])), NOW)) and not list(one.due())
    assert not list(one.add(rows([BEGIN + HOUR + 14 * 60]), NOW)) and not list(one.due()), "within the grace"
    assert not list(one.add(rows([BEGIN + HOUR + 16 * 60]), NOW))
    assert sizes(one.due()) == [(4, "time")] and [w.size for w in one.open] == [3]


def test_within_the_grace_a_request_falls_into_its_own_span():
    one = windows()
    list(one.add(rows(BEGIN + np.array([0, 1, HOUR + 1, HOUR + 2, 2, 3])), NOW))
    assert [w.size for w in one.open] == [4, 2] and not any(w.late for w in one.open)


def test_a_later_one_is_counted_as_late_and_falls_into_the_open_window():
    one = windows()
    list(one.add(rows(BEGIN + np.array([0, 1, 2, 3, 2 * HOUR])), NOW))
    assert sizes(one.due()) == [(4, "time")]
    list(one.add(rows([BEGIN + 5.0]), NOW))
    [window] = one.open
    assert (window.size, window.late) == (2, 1) and window.begin == BEGIN + 5
    list(one.due(BEGIN + 50 * HOUR))
    assert [w.size for w in one.open] == [2], "fewer than the least: it waits"
    list(one.add(rows([BEGIN + 51 * HOUR]), NOW))
    assert sizes(one.due(BEGIN + 60 * HOUR)) == [(3, "time")] and not one.open
    list(one.add(rows([BEGIN + HOUR]), NOW))
    assert [(w.size, w.late) for w in one.open] == [(1, 1)], "also where no window is open"


def test_a_window_with_fewer_than_the_least_goes_on_with_the_next_span():
    one = windows()
    list(one.add(rows(BEGIN + np.array([0, 1, HOUR, HOUR + 1, 3 * HOUR])), NOW))
    assert sizes(one.due()) == [(4, "time")] and [w.size for w in one.open] == [1]


def test_windows_that_are_put_together_may_be_full():
    one = windows(rows=4, least=4)
    list(one.add(rows(BEGIN + np.array([0, 1, 2, HOUR, HOUR + 1])), NOW))
    assert sizes(one.due(BEGIN + 9 * HOUR)) == [(5, "rows")] and not one.open


def test_a_clock_that_jumped_ahead_ends_no_span():
    one = windows()
    list(one.add(rows([BEGIN, BEGIN + 1, BEGIN + 900 * HOUR, BEGIN + 2]), BEGIN + HOUR))
    assert not list(one.due())
    [window] = one.open
    assert (window.size, window.ahead, window.late) == (4, 1, 0) and (window.begin, window.end) == (BEGIN, BEGIN + 2)
    other = windows()
    list(other.add(rows([BEGIN + 900 * HOUR]), BEGIN))
    assert [(w.size, w.ahead) for w in other.open] == [(1, 1)], "even where no time was ever believed"


def test_a_clock_that_jumped_back_loses_nothing():
    one = windows(rows=100)
    list(one.add(rows(BEGIN + 10 * HOUR + np.arange(5.0)), NOW))
    list(one.add(rows(BEGIN + np.arange(5.0)), NOW))
    found = list(one.due())
    assert sizes(found) == [(5, "time")] and [w.size for w in one.open] == [5]


@pytest.mark.parametrize("seed", range(5))
def test_every_request_is_in_one_window(seed):
    rng = np.random.default_rng(seed)
    one, found, count = windows(rows=int(rng.integers(3, 40))), [], 0
    for _ in range(30):
        times = BEGIN + rng.normal(count * 60, rng.choice([60, 5000]), rng.integers(0, 50))
        count += len(times)
        found += [*one.add(rows(times), BEGIN + count * 60), *one.due()]
        other = windows(rows=one._options.rows)
        other.restore(json.loads(json.dumps(one.to_json())))
        one = other
    assert sum(full.window.size for full in found) + sum(w.size for w in one.open) == count
    assert sum(int(full.window.counts["x"].sum()) for full in found) == sum(full.window.size for full in found)
    assert all(full.window.size >= 3 for full in found)
    assert all(a.last < b.first for a, b in zip(one.open, one.open[1:], strict=False))


def test_what_is_counted():
    failed = STATUSES.index("INTERNAL")
    given = rows(
        [BEGIN] * 4,
        seconds=np.array([0.00005, 0.01, 5000, 9.0]),
        statuses=np.uint8([OK, OK, OK, failed]),
        unlogged=np.uint8([0, NO_INPUTS, 0, NO_INPUTS]),
        examples=np.int32([1, 2, 1, 0]),
        bins=np.int16([[1], [UNMEASURED], [0], [0]]),
        violations=np.int16([-1, 0, 1, 0]),
        reasons=("too_large", "empty"),
    )
    one = Windows(WindowOptions(rows=10, least=1), {"x": 2}, slow_s=0.01)
    list(one.add(given, NOW))
    [window] = one.open
    assert (window.size, window.requests, window.rows, window.slow) == (5, 4, 4, 1)
    assert window.counts["x"].tolist() == [2, 1] and window.unmeasured == {"inputs": 3}
    assert window.violations == {"too_large": 2, "empty": 1} and window.codes[failed] == 1
    assert window.latency.sum() == 3 and window.latency[0] == window.latency[-1] == 1
    assert window.latency[LATENCY_S.index(0.01)] == 1
    assert window.merge(type(window).from_json(json.loads(json.dumps(window.to_json())))) is None
    assert (window.size, window.violations["empty"], window.latency.sum()) == (10, 2, 6)


def test_nothing_comes_of_nothing():
    one = windows()
    assert not list(one.add(rows([]), NOW)) and not list(one.due()) and not math.isfinite(one.newest)
    assert one.to_json() == {"newest": None, "judged": None, "open": []}


def test_rows_are_taken_with_their_examples():
    given = rows(
        [1, 2, 3], examples=np.int32([2, 0, 1]), bins=np.int16([[0], [1], [2]]), violations=np.int16([0, 1, 2])
    )
    some = given.taken(np.array([0, 2]))
    assert (
        some.times.tolist() == [1, 3] and some.bins[:, 0].tolist() == [0, 1, 2] and given.taken(np.arange(3)) is given
    )
    assert given.taken(np.array([2])).bins.tolist() == [[2]] and dataclasses.replace(some).violations.tolist() == [
        0,
        1,
        2,
    ]


def test_a_least_above_the_rows_is_refused():
    raw = {"name": "n", "data": {"source": "image_folder", "path": "d"}, "backbone": {"handle": "b"}}
    with pytest.raises(GraftError, match=r"monitoring.drift.window.*least is 500; it must be at most rows, 400"):
        configs.parse(raw | {"monitoring": {"drift": {"window": {"rows": 400, "least": 500}}}}, "c.yaml")
