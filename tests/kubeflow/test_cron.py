"""When a schedule starts a run, as Kubeflow reads it. Times are those of a fixed start."""

import datetime

import pytest

from graft.kubeflow.cron import parse
from graft.models.errors import GraftError

START = datetime.datetime(2026, 1, 1, 3, tzinfo=datetime.UTC)  # a Thursday


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0 0 3 * * *", ["01-02 03:00:00", "01-03 03:00:00", "01-04 03:00:00"]),
        (" 0  0 3 ? * MON ", ["01-05 03:00:00", "01-12 03:00:00", "01-19 03:00:00"]),
        ("30 5/20 * * * *", ["01-01 03:05:30", "01-01 03:25:30", "01-01 03:45:30"]),
        ("0 0 */12 1,15 jan-mar ?", ["01-01 12:00:00", "01-15 00:00:00", "01-15 12:00:00"]),
        ("0 0 3 * * mon/2", ["01-02 03:00:00", "01-05 03:00:00", "01-07 03:00:00"]),
        # Both are restricted: either is enough.
        ("0 0 3 3 * MON", ["01-03 03:00:00", "01-05 03:00:00", "01-12 03:00:00"]),
        # One of the two always holds; a program that took it for a star would wait for Mondays.
        ("0 0 3 1-31 * MON", ["01-02 03:00:00", "01-03 03:00:00", "01-04 03:00:00"]),
        ("0 0 3 */10 * *", ["01-11 03:00:00", "01-21 03:00:00", "01-31 03:00:00"]),
    ],
    ids=str,
)
def test_the_next_times(text, times):
    assert [f"{time:%m-%d %H:%M:%S}" for time in parse(text).after(START, 3)] == times


def test_five_times_in_utc_each_later_than_the_start():
    india = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    times = parse("0 0 3 * * *").after(START.astimezone(india))
    assert len(times) == 5
    assert times[0] == START + datetime.timedelta(days=1)
    assert {time.utcoffset() for time in times} == {datetime.timedelta()}


def test_a_leap_day_comes():
    assert parse("0 0 3 29 2 *").after(START, 1) == [datetime.datetime(2028, 2, 29, 3, tzinfo=datetime.UTC)]


def test_it_is_sent_as_it_was_written():
    assert parse("0  0 3 ?  * mon-fri").text == "0 0 3 ? * mon-fri"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * * *", "five fields; Kubeflow takes six, the second first: write '0 0 3 .*'"),
        ("@daily", "has 1 of six fields"),
        ("", "has 0 of six fields"),
        ("0 0 3 * * * *", "has 7 of six fields"),
        ("* * 3 * * *", "names 60 seconds of each minute"),
        ("0,30 * * * * *", "names 2 seconds of each minute"),
        ("0 0 3 L * *", "day of month: 'L' is nothing that Kubeflow reads"),
        ("0 0 3 15W * *", "day of month: '15W'"),
        ("0 0 3 ? * 5#2", "day of week: '5#2'"),
        ("0 0 3 * * 7", "day of week: '7' .* 0 to 6 or sun, mon"),
        ("0 0 22-2 * * *", "hour: '22-2'"),
        ("0 0 24 * * *", "hour: '24'"),
        ("0 60 3 * * *", "minute: '60'"),
        ("0 0 3 0 * *", "day of month: '0'"),
        ("0 */0 * * * *", r"minute: '\*/0'"),
        ("0 -1 * * * *", "minute: '-1'"),
        ("0 0 1,,2 * * *", "hour: ''"),
        ("0 0 3 * mon *", "month: 'mon' .* jan, feb"),
        ("0 0 3 *-4 * *", r"day of month: '\*-4'"),
        ("0 0 ٣ * * *", "hour: '٣'"),
        ("0 0 3 30 2 *", "this day never comes"),
        ("0 0 3 31 feb,apr,jun ?", "this day never comes"),
        ("0 0 3 */2 * MON", "write the one with '\\*/' as a list"),
    ],
    ids=str,
)
def test_refuses_what_kubeflow_refuses_or_reads_otherwise(text, message):
    with pytest.raises(GraftError, match=message) as refused:
        parse(text)
    assert repr(text) in str(refused.value)
