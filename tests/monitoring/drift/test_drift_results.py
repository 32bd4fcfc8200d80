"""Results are read as they were written; a damaged line is told with its place."""

import pytest

from graft.models.errors import GraftError
from graft.monitoring.drift import results, series


def window(**changes) -> results.Window:
    values = {"kind": "requests", "model": "m", "version": 1, "number": 1, "begin": 1.0, "end": 2.0, "closed": 3.0}
    values |= {"reason": "rows", "requests": 5, "rows": 5, "drifted": False, "counts": {"x": (2, 3)}}
    return results.Window(**values | changes)


def compared(signal: str, **changes) -> results.Test:
    values = {"signal": signal, "group": "input", "against": "reference", "rows": 5, "effect": 0.2, "least_effect": 0.1}
    return results.Test(**values | {"p_value": 0.5, "level": 0.01, "alarm": False} | changes)


def test_windows_come_back_in_their_order(tmp_path):
    both = [window(), window(number=2, tests=(compared("x", alarm=True),), drifted=True)]
    (tmp_path / results.NAME).write_text("".join(f"{results.line(one)}\n" for one in both))
    assert list(results.read(tmp_path)) == both and both[1].alarms == both[1].tests
    assert list(results.read(tmp_path / "none")) == []


def test_a_line_that_is_being_written_is_not_there_yet(tmp_path):
    (tmp_path / results.NAME).write_text(f"{results.line(window())}\n{results.line(window())[:-9]}")
    assert len(list(results.read(tmp_path))) == 1


@pytest.mark.parametrize("line", ["{}", "no JSON", '{"kind": "requests", "more": 1}'])
def test_a_damaged_line_is_told_with_its_place(tmp_path, line):
    (tmp_path / results.NAME).write_text(f"{results.line(window())}\n{line}\n")
    with pytest.raises(GraftError, match=r"windows.jsonl:2: .*it must be a window as `graft monitor` writes it"):
        list(results.read(tmp_path))


def test_series_are_of_the_newest_version_and_escape_names():
    tests = (
        compared('a "b"'),
        compared("x", against="previous", alarm=True),
        compared("errors", group="service", against="first"),
        compared("errors", group="service", against="limit", alarm=True, effect=0.3),
    )
    mean = results.Mean(mean=0.5, low=0.25, high=0.75, miss=0.05, rows=9)
    found = [window(version=2, tests=tests, in_row={"input": 3}, estimate=mean), window(version=1, number=9)]
    text = series.text(found, series.Health("m", 5.0, True, {"requests": 7}, 2))
    lines = text.splitlines()
    for expected in (
        r'graft_drift_statistic{model="m",kind="input",feature="a \"b\""} 0.2',
        'graft_drift_statistic{model="m",kind="service",feature="errors"} 0.3',
        'graft_drift_alarm{model="m",kind="service",feature="errors"} 1',
        'graft_drift_threshold{model="m",kind="service",feature="errors"} 0.1',
        'graft_drift_windows_drifted{model="m",kind="input"} 3',
        'graft_drift_quality_estimate{model="m",bound="low"} 0.25',
        'graft_drift_counted_total{model="m",what="requests"} 7',
        'graft_drift_failing{model="m"} 1',
        'graft_drift_last_pass_timestamp_seconds{model="m"} 5.0',
        'graft_drift_waiting_labels{model="m"} 2',
    ):
        assert expected in lines
    assert 'feature="x"' not in text, "a change since the window before is no drift"
    assert "graft_drift_statistic{" not in series.text([], series.Health("m"))
