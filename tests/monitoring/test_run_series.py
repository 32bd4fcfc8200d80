"""Series of runs, from what they leave on disk."""

import json
import os

import pytest
from exported_series import values
from run_folders import write_run

from graft.models.errors import GraftError
from graft.monitoring.run_series import STATUSES, Runs
from graft.pipeline import holder
from graft.pipeline.result import RunResult


def test_the_last_run_and_all_of_them(tmp_path):
    closed = [{"passed": False}, {"passed": True}, {"passed": False}]
    write_run(tmp_path, "flowers", "20260101-000000-000")
    write_run(tmp_path, "flowers", "20260102-000000-000", "failed")
    write_run(tmp_path, "flowers", "20260103-000000-000", "gate_closed", gates=closed, started=2000.0, ended=2030.0)
    write_run(tmp_path, "birds", "20260101-000000-000")
    (tmp_path / "store").mkdir()  # no pipeline
    found = values(Runs(tmp_path, 86400.0))
    assert found["graft_pipeline_last_run_duration_seconds", "flowers"] == 30
    assert found["graft_pipeline_last_run_start_timestamp_seconds", "flowers"] == 2000
    assert found["graft_pipeline_last_run_end_timestamp_seconds", "flowers"] == 2030
    assert found["graft_pipeline_last_run_gates_closed", "flowers"] == 2
    assert found["graft_pipeline_last_success_timestamp_seconds", "flowers"] == 1090
    assert found["graft_pipeline_stage_duration_seconds", "flowers", "train"] == 60
    assert found["graft_pipeline_expected_interval_seconds", "birds"] == 86400
    for status in STATUSES:
        assert found["graft_pipeline_last_run_status", "flowers", status] == (status == "gate_closed")
        expected = status in ("passed", "failed", "gate_closed")
        assert found["graft_pipeline_runs", "flowers", status] == expected
    assert not any(key[1:2] == ("store",) for key in found)


def test_a_run_without_an_end_is_under_way_while_its_process_lives(tmp_path):
    write_run(tmp_path, "flowers", "20260101-000000-000")
    (tmp_path / "flowers" / "runs" / "20260102-000000-000").mkdir()
    lock = tmp_path / "flowers" / holder.LOCK
    with lock.open("w") as file:
        holder.note(file, "20260102-000000-000")
    runs = Runs(tmp_path)
    found = values(runs)
    assert found["graft_pipeline_last_run_status", "flowers", "running"] == 1
    assert ("graft_pipeline_last_run_end_timestamp_seconds", "flowers") not in found
    assert ("graft_pipeline_expected_interval_seconds", "flowers") not in found
    # A process of the same number that was started at another time.
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"started": 1}))
    found = values(runs)
    assert found["graft_pipeline_last_run_status", "flowers", "unfinished"] == 1
    assert found["graft_pipeline_last_run_status", "flowers", "running"] == 0


@pytest.mark.parametrize("content", ["", "[]", "{", '{"status": "passed"}', '{"status":"new","stages":[],"gates":[]}'])
def test_a_damaged_run_is_counted_and_hides_no_other(tmp_path, content):
    write_run(tmp_path, "flowers", "20260101-000000-000")
    write_run(tmp_path, "flowers", "20260102-000000-000").write_text(content)
    found = values(Runs(tmp_path))
    assert found["graft_pipeline_unreadable_runs", "flowers"] == 1
    assert found["graft_pipeline_last_run_status", "flowers", "passed"] == 1


def test_what_was_read_is_kept_and_what_changed_is_read_again(tmp_path, monkeypatch):
    from graft.monitoring import run_series

    path = write_run(tmp_path, "flowers", "20260101-000000-000")
    runs = Runs(tmp_path)
    runs.lines()
    reads = []
    real = run_series._parsed
    monkeypatch.setattr(run_series, "_parsed", lambda *args: (reads.append(args), real(*args))[1])
    runs.lines()
    assert not reads
    path.write_text(path.read_text().replace("passed", "failed", 1))
    os.utime(path, ns=(1, 1))
    assert values(runs)["graft_pipeline_last_run_status", "flowers", "failed"] == 1 and len(reads) == 1


def test_a_run_of_before_these_keys_is_timed_by_its_file(tmp_path):
    path = write_run(tmp_path, "flowers", "20260101-000000-000", started=None, ended=None)
    os.utime(path, (5000, 5000))
    found = values(Runs(tmp_path))
    assert found["graft_pipeline_last_run_end_timestamp_seconds", "flowers"] == 5000
    assert found["graft_pipeline_last_run_duration_seconds", "flowers"] == 80


def test_a_result_says_when_it_began_and_ended():
    value = RunResult("id").to_json()
    assert value["started"] <= value["ended"]


def test_a_folder_that_is_not_there_is_no_folder_without_runs(tmp_path):
    assert values(Runs(tmp_path)) == {}
    with pytest.raises(GraftError, match="nowhere: No such file or directory"):
        Runs(tmp_path / "nowhere").lines()
