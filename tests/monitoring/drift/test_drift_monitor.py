"""A monitor over real files: exactly once over kills and restarts, late and foreign things counted, one at a time."""

import dataclasses
import json
import pathlib
import shutil
import signal
import subprocess
import sys

import drift_samples
import numpy as np
import pytest
from drift_samples import MODEL, NOON, failed, look, make_store, options, place, reference, request, traffic, write_log

from graft.models.errors import GraftError
from graft.models.signals.reference import PLACE
from graft.monitoring.drift import results
from graft.monitoring.drift.monitor import Monitor
from graft.serving.store import open_store


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    """A store of one version and an empty log."""
    make_store(tmp_path)
    (tmp_path / "log").mkdir()
    return tmp_path


def put(root: pathlib.Path, *requests) -> list[pathlib.Path]:
    return write_log(root / "log", requests)


def windows(root: pathlib.Path) -> list[results.Window]:
    return list(results.read(root / "drift"))


def test_windows_are_judged_and_what_moved_is_named(root):
    put(root, *traffic(900, 1, NOON - 9000))
    first = look(root)
    assert [(w.number, w.rows, w.drifted) for w in first.windows] == [(1, 400, False), (2, 400, False)]
    assert first.open == {1: 100} and not first.faults
    put(root, *traffic(700, 2, NOON - 4000, shift=1.0))
    [third, fourth] = look(root).windows
    assert {test.signal for test in third.alarms if test.against == "reference"} >= {"words", "confidence"}
    assert (
        third.drifted
        and third.changed
        and fourth.drifted
        and fourth.in_row
        == {
            "input": 2,
            "prediction": 2,
            "service": 0,
        }
    )
    assert fourth.estimate.high < third.estimate.high < first.windows[0].estimate.mean
    assert windows(root) == [*first.windows, third, fourth]
    put(root, *traffic(400, 3, NOON - 3000))
    [back] = look(root).windows
    assert back.changed and not back.drifted and back.in_row["input"] == 0, "as it should be again"


def test_a_pass_without_new_files_does_nothing(root):
    put(root, *traffic(500, 1, NOON - 9000))
    assert len(look(root).windows) == 1
    again = look(root)
    assert not again.windows and again.totals["requests"] == 500 and len(windows(root)) == 1


def test_a_request_counts_once_wherever_it_stands_again(root):
    requests = traffic(300, 1, NOON - 9000)
    put(root, *requests, *requests[:50])
    [path] = put(root, *requests[100:200])
    shutil.copy(path, path.with_name(path.name.replace("requests-2", "requests-3")))
    found = look(root)
    assert found.totals == {"files": 3, "records": 550, "requests": 300, "repeated": 250} and found.open == {1: 300}
    put(root, *requests[:10], failed("s1-0", NOON - 9000))
    found = look(root)
    assert found.totals["requests"] == 301, "an attempt that failed is another request"


def test_files_that_retention_deleted_are_forgotten_with_their_ids(root):
    [path] = put(root, *traffic(50, 1, NOON - 9000))
    look(root)
    path.unlink()
    look(root)
    put(root, *traffic(50, 1, NOON - 8000))
    assert look(root).totals["requests"] == 100, "known no more"


def test_damaged_and_foreign_files_are_counted_and_the_rest_is_watched(root):
    [path] = put(root, *traffic(100, 1, NOON - 9000))
    path.write_bytes(path.read_bytes()[:-9])
    (root / "log" / "notes.txt").write_text("?")
    [foreign] = put(root, *traffic(5, 2, NOON - 9000))
    from graft.models.tfrecord_file import framed

    foreign.write_bytes(framed(b"no record") + foreign.read_bytes())
    found = look(root)
    assert found.totals["damaged_files"] == found.totals["foreign_records"] == 1 and found.totals["requests"] == 104
    assert len(found.faults) == 3 and found.log.foreign_files == 1


def test_what_is_not_of_the_model_is_counted(root):
    put(root, failed("a", NOON, model="other"), failed("b", NOON, model=None), failed("c", NOON - 9000, version=None))
    assert look(root).totals == {
        "files": 1,
        "records": 3,
        "other_models": 1,
        "no_model": 1,
        "requests": 1,
        "no_version": 1,
    }


def test_a_version_without_reference_is_told_and_counted(root):
    export = root / "bare"
    export.mkdir()
    (export / "saved_model.pb").write_bytes(b"bare")
    assert open_store(root / "store").push(MODEL, export, {}) == 2
    put(root, *traffic(10, 1, NOON - 9000, version=2), *traffic(5, 2, NOON - 9000, version=7))
    found = look(root)
    assert {version: count for version, (count, _) in found.unknown.items()} == {2: 10, 7: 5}
    assert "older Graft pushed it" in found.unknown[2][1] and "not in the store" in found.unknown[7][1]
    assert not found.open and not found.faults


def test_a_version_that_leaves_the_store_is_watched_to_its_end(root):
    put(root, *traffic(300, 1, NOON - 9000))
    look(root)
    shutil.rmtree(root / "store" / MODEL / "1")
    put(root, *traffic(300, 2, NOON - 8000))
    found = look(root)
    assert [w.rows for w in found.windows] == [400] and not found.unknown


def test_a_version_that_is_another_one_is_refused(root):
    put(root, *traffic(30, 1, NOON - 9000))
    look(root)
    reference(500, seed=1).save(root / "store" / MODEL / "1" / PLACE)
    with pytest.raises(GraftError, match=r"version 1 is not the one that .* watches; give monitoring.drift.folder"):
        look(root)


def test_versions_have_windows_and_looks_of_their_own(root):
    reference(500, seed=1).save(root / "export1" / PLACE)
    open_store(root / "store").push(MODEL, root / "export1", {})
    both = [
        one
        for pair in zip(traffic(450, 1, NOON - 9000), traffic(450, 2, NOON - 9000, version=2), strict=True)
        for one in pair
    ]
    put(root, *both)
    found = look(root)
    assert [(w.version, w.number, w.rows) for w in found.windows] == [(1, 1, 400), (2, 1, 400)]
    assert found.open == {1: 50, 2: 50}


def test_failed_requests_and_slow_ones_are_alarms(root):
    usual = traffic(400, 1, NOON - 9000)
    put(root, *usual[:398], failed("f", NOON - 9000), failed("g", NOON - 9000), *usual[398:])
    put(root, *(failed(f"h{n}", NOON - 8000) for n in range(60)), *traffic(380, 2, NOON - 8000, seconds=0.5))
    asked = options(most_errors=0.02, latency_ms=100.0)
    first, second = look(root, asked).windows
    assert not first.drifted and first.statuses == {"INTERNAL": 2, "OK": 398}
    alarms = {(test.signal, test.against) for test in second.alarms if test.group == "service"}
    assert alarms == {(name, against) for name in ("errors", "latency") for against in ("first", "limit")}
    assert second.in_row["service"] == 1 and second.latency_s["0.5"] >= 0.5 > first.latency_s["0.99"]


def test_what_was_not_logged_or_may_not_enter_is_counted(root):
    usual = traffic(100, 1, NOON - 9000, inputs={})
    odd = [request(f"o{n}", [b"\xff\xfe"], np.zeros((1, 2)) + 0.5, NOON - 9000) for n in range(60)]
    put(root, *usual, *odd)
    [window] = look(root, options(window={"rows": 160})).windows
    assert window.unmeasured == {"inputs": 100} and sum(window.violations.values()) == 60
    assert sum(window.counts["words"]) == 60 and sum(window.counts["confidence"]) == 160
    assert "readable" in {test.signal for test in window.alarms}


def test_time_closes_a_window_without_new_requests(root):
    put(root, *traffic(150, 1, NOON - 9000))
    asked = options(window={"hours": 1})
    assert not look(root, asked, now=NOON - 8000).windows
    [window] = look(root, asked, now=NOON + 86_400).windows
    assert (window.rows, window.reason) == (150, "time")
    put(root, *traffic(120, 2, NOON - 9000))
    [late] = look(root, asked, now=NOON + 90_000).windows
    assert (late.rows, late.late) == (120, 120)


def test_another_monitor_in_the_folder_is_refused(root):
    with (
        Monitor(place(root), options()),
        pytest.raises(GraftError, match="another `graft monitor` works here"),
    ):
        look(root)
    look(root)


def test_a_folder_of_another_model_is_refused(root):
    look(root)
    other = place(root)
    with pytest.raises(GraftError, match=r"state.sqlite: of the monitor of 'm'; 'n' needs a folder of its own"):
        Monitor(dataclasses.replace(other, model="n"), options())


def test_a_failure_in_the_middle_keeps_nothing_of_the_file(root, monkeypatch):
    put(root, *traffic(900, 1, NOON - 9000))
    from graft.monitoring.drift import judging

    real = judging.of_requests

    def fail(full, **more):
        window = real(full, **more)
        if window.number == 2:
            raise GraftError("no")
        return window

    monkeypatch.setattr(judging, "of_requests", fail)
    with pytest.raises(GraftError, match="no"):
        look(root)
    monkeypatch.undo()
    assert not windows(root)
    assert [w.number for w in look(root).windows] == [1, 2]


KILLED = """
import json, os, signal, sys
sys.path[:0] = json.loads(sys.argv[1])
from drift_samples import look
from graft.monitoring.drift import state
import pathlib
at, root = sys.argv[2], pathlib.Path(sys.argv[3])
def die(*_, **__):
    assert "tensorflow" not in sys.modules
    os.kill(os.getpid(), signal.SIGKILL)
if at == "mid_file":
    real, calls = state.State.add_result, []
    def add(self, window):
        calls.append(window)
        real(self, window)
        if len(calls) == 3:
            die()
    state.State.add_result = add
elif at == "before_results":
    state.State.publish = lambda self, seen=[]: die() if seen else seen.append(1)
else:
    os.fsync = die
look(root)
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", ["mid_file", "before_results", "torn_results"])
def test_a_monitor_that_is_killed_loses_and_repeats_nothing(root, at, tmp_path):
    put(root, *traffic(900, 1, NOON - 9000))
    put(root, *traffic(900, 2, NOON - 8000))
    if at == "torn_results":
        (root / "drift" / "references").mkdir(parents=True)  # written with fsync as well, and so there beforehand
        look(root, now=NOON)
        shutil.copytree(root / "drift" / "references", root / "kept")
        shutil.rmtree(root / "drift")
        (root / "drift").mkdir()
        shutil.copytree(root / "kept", root / "drift" / "references")
    folders = json.dumps([str(pathlib.Path(drift_samples.__file__).parent)])
    process = subprocess.run([sys.executable, "-c", KILLED, folders, at, str(root)], capture_output=True, text=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    found = look(root)
    assert found.totals == {"files": 2, "records": 1800, "requests": 1800} and found.open == {1: 200}
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "store").symlink_to(root / "store")
    (whole / "log").symlink_to(root / "log")
    look(whole)
    assert windows(root) == windows(whole) and [w.number for w in windows(root)] == [1, 2, 3, 4]


def test_results_stay_where_the_state_was_taken_away(root):
    put(root, *traffic(400, 1, NOON - 9000))
    look(root)
    (root / "drift" / "state.sqlite").unlink()
    look(root)
    assert [w.number for w in windows(root)] == [1, 1]
    (root / "drift" / results.NAME).unlink()
    put(root, *traffic(400, 2, NOON - 8000))
    look(root)
    assert [w.number for w in windows(root)] == [2]
