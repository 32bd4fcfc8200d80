"""The decision: what starts a retraining and what forbids it, each with its twin; and what holds of all of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrain_samples import HOUR, NOW, event, retraining, window, windows

from graft.monitoring.retrain.decision import decide, paused
from graft.monitoring.retrain.options import RetrainOptions

OPTIONS = RetrainOptions(new_labels=100, least_labels=20, drift_windows=2, cooldown_hours=24)
DRIFT, CALM = windows(False, True, True), windows(True, True, False)


def labels(count: int, until: float = NOW - HOUR) -> list[float]:
    """Times of arrival, a second between two."""
    return [until - number for number in range(count)]


def made(judged=(), count=0, events=(), now=NOW, force=False, served=1, options=OPTIONS):
    return decide(options, judged, served, labels(count), events, now, force)


def test_enough_new_labels_start_one_and_one_fewer_does_not():
    assert made(count=100).start and made(count=100).triggers == ("labels",)
    held = made(count=99)
    assert not held.start and held.triggers == ()
    assert held.against[0] == "99 new labels of the 100 that start a retraining"


def test_drift_starts_one_with_few_labels_and_calm_does_not():
    found = made(DRIFT, 20)
    assert found.start and found.because == ("the last 2 windows of requests to version 1 drifted (tokens)",)
    assert found.figures["moved"] == ["tokens"] and found.figures["windows_drifted"] == 2
    assert not made(CALM, 20).start and not made(windows(True), 20).start


def test_drift_counts_for_the_served_version_only_and_only_if_asked_for():
    assert not made(DRIFT, 20, served=2).start and not made(DRIFT, 20, served=None).start
    assert not made(DRIFT, 20, options=RetrainOptions(new_labels=100, least_labels=20, on_drift=False)).start


def test_slow_answers_start_none_and_are_not_told_as_what_moved():
    slow = [window(number, True, group="service", signal="latency") for number in (1, 2)]
    assert not made(slow, 20).start and "no window drifted lately" in made(slow, 20).sentence
    both = [w.model_copy(update={"tests": (*w.tests, *DRIFT[1].tests)}) for w in slow]
    assert made(both, 20).start and made(both, 20).figures["moved"] == ["tokens"]


def test_windows_of_requests_and_of_labels_are_counted_apart():
    mixed = [*windows(True), *windows(True, kind="labels")]
    assert not made(mixed, 20).start
    assert made([*mixed, *windows(True, kind="labels")], 20).triggers == ("drift",)


def test_with_fewer_labels_than_the_least_none_starts_not_even_by_force():
    assert "at least 20 are needed" in made(DRIFT, 19).sentence and not made(DRIFT, 19).start
    assert not made(count=19, force=True).start and made(count=20, force=True).triggers == ("force",)


@pytest.mark.parametrize("status", ["passed", "gate_closed", "failed", "interrupted"])
def test_the_cool_down_counts_from_the_end_whatever_it_was(status):
    events = retraining(NOW - 30 * HOUR, NOW - 23 * HOUR, status)
    held = made(count=300, events=events)
    assert not held.start and held.against == (
        f"cool-down until 2023-11-15 13:00 UTC after run r1, which ended {status}",
    )
    assert made(count=300, events=events, force=True).start
    events = retraining(NOW - 30 * HOUR, NOW - 24 * HOUR, status)
    assert made(count=300, events=events).start


def test_a_killed_one_has_a_cool_down_too_and_a_refused_one_has_none():
    started = event("started", NOW - 2 * HOUR, run="r1")
    killed = event("killed", NOW - HOUR, run="r1", ended=NOW - 2 * HOUR)
    assert "cool-down" in made(count=300, events=[started, killed]).sentence
    assert made(count=300, events=[started, event("refused", NOW - HOUR, run="r1")]).start


@pytest.mark.parametrize("status", ["passed", "gate_closed"])
def test_labels_and_windows_that_a_retraining_has_seen_start_no_other(status):
    events = retraining(NOW - 60 * HOUR, NOW - 50 * HOUR, status, learned=NOW - HOUR)
    assert not made(count=300, events=events).start
    assert made(count=300, events=retraining(NOW - 60 * HOUR, NOW - 50 * HOUR, "failed", NOW - HOUR)).start
    events = retraining(NOW - 60 * HOUR, NOW - 50 * HOUR, status, learned=NOW - HOUR - 20)  # 20 came since
    assert made(windows(True, True, closed=NOW - 49 * HOUR), 300, events).triggers == ("drift",)
    assert not made(windows(True, True, closed=NOW - 51 * HOUR), 300, events).start


def test_a_pause_holds_until_it_is_ended_and_force_does_not_break_it():
    pause = event("paused", NOW - 900 * HOUR, reason="labels are wrong")
    held = made(count=300, events=[pause], force=True)
    assert not held.start and "labels are wrong" in held.sentence and paused([pause]) is pause
    assert made(count=300, events=[pause, event("resumed", NOW)]).start
    assert not made(count=300, events=[pause, event("resumed", NOW), pause]).start


def test_one_under_way_forbids_another():
    started = event("started", NOW - 900 * HOUR, run="r1")
    held = made(count=300, events=[started], force=True)
    assert not held.start and "run r1 is under way" in held.sentence


def test_all_reasons_are_told():
    events = [*retraining(NOW - 3 * HOUR, NOW - HOUR), event("paused", NOW, reason="stop")]
    told = made(DRIFT, 3, events).sentence
    assert all(words in told for words in ("paused since", "cool-down until", "3 new labels whose input"))


KINDS = st.sampled_from(["passed", "gate_closed", "failed", "interrupted"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("paused"), st.just("")),
        st.tuples(st.just("resumed"), st.just("")),
        st.tuples(st.just("killed"), st.just("")),
        st.tuples(st.just("run"), KINDS),
    ),
    max_size=5,
)


def history(drawn) -> list:
    """Events of ten hours each."""
    events = []
    for number, (kind, status) in enumerate(drawn):
        time = NOW - (len(drawn) - number) * 10 * HOUR
        if kind == "run":
            events += retraining(time, time + HOUR, status, learned=time, run=f"r{number}")
        elif kind == "killed":
            events += [event("started", time, run=f"r{number}"), event(kind, time + 1, run=f"r{number}", ended=time)]
        else:
            events.append(event(kind, time, reason="x"))
    return events


@settings(max_examples=200, deadline=None)
@given(
    drift=st.lists(st.booleans(), max_size=4),
    count=st.integers(0, 200),
    drawn=EVENTS,
    force=st.booleans(),
    more=st.integers(0, 100),
)
def test_what_holds_of_all_decisions(drift, count, drawn, force, more):
    events, judged = history(drawn), windows(*drift)
    found = made(judged, count, events, force=force)
    assert found == made(judged, count, events, force=force)
    assert found.sentence and found.start == (bool(found.triggers) and not found.against)
    if found.start:
        assert paused(events) is None and count >= OPTIONS.least_labels
        # More labels stop nothing, and a person may always ask for what starts by itself.
        assert made(judged, count + more, events, force=force).start and made(judged, count, events, force=True).start
        # Once it has run, the same labels and windows start no other, however long one waits.
        done = [*events, *retraining(NOW, NOW + HOUR, "passed", found.learned_until, "again")]
        assert not made(judged, count, done, now=NOW + 900 * HOUR).start
        assert not made(judged, count + more, done, now=NOW + 2 * HOUR).start  # it cools down
        assert not made(judged, count, [*events, event("paused", NOW, reason="x")], force=force).start
    else:
        assert found.against
