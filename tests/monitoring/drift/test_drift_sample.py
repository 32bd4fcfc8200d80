"""A window's sample is random by request, the same in any order, and of what can be embedded."""

import hashlib

import numpy as np
from test_drift_windows import NOW, rows, windows

from graft.monitoring.drift.rows import NO_INPUTS, OK
from graft.monitoring.drift.sample import Place, drawn, smallest
from graft.monitoring.drift.windows import WindowOptions, Windows


def asked(count: int, first: int = 0, **changes):
    """Requests r0, r1, ..."""
    keys = b"".join(hashlib.sha256(f"r{n}".encode()).digest()[:17] for n in range(first, first + count))
    held = {"keys": np.frombuffer(keys, np.uint8).reshape(-1, 17), "offsets": 100 * np.arange(first, first + count)}
    return rows(NOW - 7200 + np.arange(first, first + count) / 10, log_file=3, **held | changes)


def test_it_does_not_depend_on_order_or_parts():
    one = asked(300)
    whole = drawn(one, 20)
    parts = [drawn(one.taken(np.arange(a, a + 100)), 20) for a in (200, 0, 100)]
    assert smallest(smallest(parts[0], parts[1], 20), parts[2], 20) == whole == sorted(whole) and len(whole) == 20
    assert {place.file for place in whole} == {3} and {place.row for place in whole} == {0}
    assert len({place.offset for place in whole}) == 20 and max(place.offset for place in whole) > 20_000


def test_each_example_of_a_request_has_the_same_chance():
    examples = np.where(np.arange(200) % 2, 9, 1).astype(np.int32)
    places = drawn(asked(200, examples=examples), 400)
    large = sum(place.offset // 100 % 2 for place in places)
    assert abs(large / 400 - 0.9) < 0.05 and {place.row for place in places} == set(range(9))
    assert 0.4 < np.mean([place.number / 2**64 for place in drawn(asked(200), 200)]) < 0.6


def test_it_is_of_answered_requests_whose_inputs_were_logged():
    statuses, unlogged = np.full(30, OK, np.uint8), np.zeros(30, np.uint8)
    statuses[:10], unlogged[10:20] = OK + 1, NO_INPUTS
    places = drawn(asked(30, statuses=statuses, unlogged=unlogged), 30)
    assert sorted(place.offset for place in places) == list(range(2000, 3000, 100))
    assert drawn(asked(30, unlogged=np.full(30, NO_INPUTS, np.uint8)), 30) == [] == drawn(asked(3), 0)


def test_a_window_keeps_it_over_restarts():
    def watched():
        return Windows(WindowOptions(rows=200, least=1), {"x": 2}, sampled=15)

    whole, other = watched(), watched()
    [expected] = whole.add(asked(200), NOW)
    list(other.add(asked(120), NOW))
    again = watched()
    again.restore(other.to_json())
    [full] = again.add(asked(80, first=120), NOW)
    assert full.window.sample == expected.window.sample and len(full.window.sample) == 15
    assert isinstance(full.window.sample[0], Place)
    old = other.to_json()
    for window in old["open"]:
        del window["sample"]
    again.restore(old)
    assert again.open[0].sample == [], "of a monitor that kept none"
    [plain] = windows(rows=5).add(asked(5), NOW)
    assert plain.window.sample == []
