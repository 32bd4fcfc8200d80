"""The first sentence of a report, for each state that a watched model may be in."""

import pathlib

import pytest
import report_samples as samples

from graft.monitoring.drift.monitor import Place
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.drift.results import Test, Window
from graft.monitoring.drift.state import Seen
from graft.monitoring.report.findings import Findings
from graft.monitoring.report.verdict import verdict
from graft.serving.pointer import Pointer

HOUR = 3600.0
NOW = samples.BEGIN + 100 * HOUR


def window(number: int, *alarms: str, group: str = "input", **changes) -> Window:
    """Of an hour, the tenth until now; signals named in `alarms` are alarms, `quiet` is none."""
    begin = NOW - (10 - number) * HOUR - HOUR
    told = {"against": "reference", "rows": 300, "effect": 0.3, "least_effect": 0.1, "p_value": 1e-9, "level": 1e-3}
    tests = [Test(signal=name, group=group, alarm=True, **told) for name in alarms]
    tests.append(Test(signal="quiet", group="input", alarm=False, **told))
    values = {"kind": "requests", "model": "m", "version": 1, "number": number, "begin": begin, "end": begin + HOUR}
    values |= {"closed": begin + HOUR, "reason": "time", "requests": 300, "rows": 300, "drifted": bool(alarms)}
    return Window(**values | {"tests": tests} | changes)


def found(*windows: Window, served: int | None = 1, **changes) -> Findings:
    place = Place("m", "none", pathlib.Path("none"), pathlib.Path("none"), 300.0)
    options = DriftOptions.model_validate({"window": {"hours": 1}})
    pointer = None if served is None else Pointer(served, False, None, "2023-11-15T00:00:00+00:00")
    return Findings(place, options, NOW, windows=list(windows), pointer=pointer, **changes)


def said(*windows: Window, **changes) -> tuple[str, str]:
    made = verdict(found(*windows, **changes))
    return made.state, made.sentence


def test_all_is_well():
    state, sentence = said(window(9, "bright"), window(10))
    assert (state, sentence[:9]) == ("well", "All well:") and "last 300 examples" in sentence
    assert "no labels came" in sentence


def test_drift_began_with_the_first_window_of_the_streak():
    state, sentence = said(window(6, "bright"), window(7), window(8, "dark"), window(9, "bright"), window(10, "bright"))
    assert (state, sentence) == ("drift", "Drift in bright since 2023-11-19 13:00.")


def test_errors_that_rose_are_no_drift_of_inputs():
    assert said(window(10, "errors", group="service"))[1].startswith("Errors rose since")


@pytest.mark.parametrize("fell", [True, False])
def test_quality_goes_first_where_labels_show_that_it_fell(fell):
    mean = {"mean": 0.6, "low": 0.5, "high": 0.7, "miss": 0.05, "rows": 80}
    alarms = ["score"] if fell else []
    labels = window(9, *alarms, group="quality", kind="labels", quality=mean)
    state, sentence = said(window(8, "bright"), labels, window(10, "bright"))
    assert state == ("quality" if fell else "drift")
    assert sentence.startswith("Quality fell (mean score 0.600, 95 % interval 0.500 to 0.700) since") == fell
    assert ("drift in bright" in sentence.lower()) and "2023-11-19 13:00" in sentence


def test_a_change_against_the_window_before_is_no_drift():
    changed = window(10).tests[0].model_copy(update={"signal": "back", "against": "previous", "alarm": True})
    assert said(window(10, tests=[changed, *window(10).tests], changed=True))[0] == "well"


@pytest.mark.parametrize(
    ("windows", "changes", "expected"),
    [
        ([], {}, "Cannot tell: no window of it is full yet; 0 examples so far, and a window has 200 to 1,000."),
        ([], {"seen": Seen({}, {}, {1: 70})}, "Cannot tell: no window of it is full yet; 70 examples so far"),
        ([], {"seen": Seen({}, {3: (1, "why")}, {})}, "Cannot tell: 1 request to version 3 cannot be watched (why)."),
        (
            [window(10, "bright")],
            {"served": 2, "seen": Seen({}, {}, {2: 9})},
            "Cannot tell: version 2 is served, and no window of it is full yet; 9 examples so far, and a window has "
            "200 to 1,000. Version 1 before it: drift in bright since 2023-11-19 15:00.",
        ),
        (
            [window(5)],
            {},
            "Cannot tell how it is now: the newest judged request is of 2023-11-19 11:00, 5 hours ago. Then: all well:",
        ),
        (
            [window(10, tests=(), unmeasured={"inputs": 300, "outputs": 300})],
            {},
            "Cannot tell: no signal could be compared (300 without inputs, 300 without outputs).",
        ),
    ],
)
def test_what_cannot_be_told_says_why(windows, changes, expected):
    state, sentence = said(*windows, **changes)
    assert state == "unknown" and sentence.startswith(expected)
