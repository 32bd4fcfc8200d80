"""Times as a configuration and a span hold them, and labels by the time they came."""

import math

import drift_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.monitoring.request_log.label_spans import arrived, as_time, seconds, span_of

TIMES = st.floats(0, 4e9)


def test_times_are_utc_unless_they_say_otherwise():
    assert seconds("2023-11-15T12:00:00") == seconds("2023-11-15T13:00:00+01:00") == samples.NOON
    assert seconds("2023-11-15") == samples.NOON - 43200
    with pytest.raises(ValueError, match="'yesterday' is no time; allowed: ISO 8601"):
        seconds("yesterday")


@given(TIMES)
def test_what_came_at_a_time_came_no_later_than_it_is_written(time):
    assert 0 <= seconds(as_time(time)) - time < 0.0011


@given(TIMES, TIMES)
def test_names_of_spans_sort_by_age(one, other):
    assert (span_of(one) < span_of(other)) == (seconds(as_time(one)) < seconds(as_time(other)))
    assert span_of(one).isalnum()


def test_labels_come_with_their_time_and_later_ones_are_not_there(tmp_path):
    samples.write_log(tmp_path / "log", samples.traffic(2, 1, samples.NOON))
    samples.put_labels(tmp_path, {"s1-0": "rose"})
    first = arrived(tmp_path / "log", samples.MODEL)["s1-0"][0]
    assert first.label == {"label": "rose"} and first.time > samples.NOON
    assert arrived(tmp_path / "log", samples.MODEL, math.nextafter(first.time, 0)) == {}
    assert arrived(tmp_path / "log", "another") == {}
