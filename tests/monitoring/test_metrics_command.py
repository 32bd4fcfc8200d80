"""`graft metrics`: printed, as a textfile, and served."""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from run_folders import write_run
from waiting import until

from graft.monitoring.collect import Collector
from graft.monitoring.duration import duration
from graft.pipeline.cli import main


@pytest.fixture
def root(tmp_path):
    write_run(tmp_path / "runs", "flowers", "20260101-000000-000")
    return tmp_path / "runs"


def test_it_prints_the_page_once(root, capsys):
    assert main(["metrics", "--root", str(root), "--expect-every", "24h"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert 'graft_pipeline_expected_interval_seconds{pipeline="flowers"} 86400.0' in lines
    assert 'graft_collection_failed{part="runs"} 0' in lines


def test_what_cannot_be_read_fails_alone(root, tmp_path, capsys):
    assert main(["metrics", "--root", str(root), "--store", str(tmp_path / "none"), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert 'graft_collection_failed{part="store"} 1\n' in answer["metrics"]
    assert 'graft_pipeline_runs{pipeline="flowers",status="passed"} 1\n' in answer["metrics"]
    [fault] = answer["faults"]
    assert fault.startswith("store: ") and "no such folder" in fault


def test_a_fault_is_logged_when_it_is_new(caplog):
    from graft.models.errors import GraftError

    faults = ["one", "one", None, "one"]

    def make() -> list[str]:
        if fault := faults.pop(0):
            raise GraftError(fault)
        return []

    collector = Collector({"runs": make})
    for _ in range(4):
        collector.page()
    assert [record.getMessage() for record in caplog.records] == ["runs: one", "runs: one"]


def test_the_textfile_is_whole_and_readable_for_others(root, tmp_path, capsys):
    path = tmp_path / "graft.prom"
    path.write_text("old")
    assert main(["metrics", "--root", str(root), "--textfile", str(path)]) == 0
    assert "graft_collection_timestamp_seconds " in path.read_text() and path.read_text().endswith("\n")
    assert [one.name for one in tmp_path.glob("*.prom*")] == ["graft.prom"] and not list(tmp_path.glob(".tmp*"))
    assert capsys.readouterr().out == f"wrote {path}\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--textfile", "graft.txt"], "node_exporter reads files that end in .prom only"),
        (["--every", "60s"], "--every is given without --textfile or --port"),
        (["--port", "99999"], "--port 99999 on 127.0.0.1 cannot be opened"),
        (["--port", "0", "--host", "nowhere.invalid"], "cannot be opened"),
    ],
)
def test_options_that_do_not_go_together_are_told(root, capsys, options, told):
    assert main(["metrics", "--root", str(root), *options]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("60s", 60), ("1.5m", 90), ("24h", 86400), ("7d", 604800)])
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1s", "1w", "s", "1e3", "nan"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no duration; allowed: a number more than 0 with s, m, h"):
        duration(text)


@pytest.mark.slow
def test_it_serves_and_writes_again_and_again_until_it_is_asked_to_end(root, tmp_path):
    path = tmp_path / "graft.prom"
    command = ["graft.pipeline.cli", "metrics", "--root", root, "--port", "0", "--every", "0.05", "--textfile", path]
    with subprocess.Popen([sys.executable, "-m", *command, "--json"], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = json.loads(process.stdout.readline())["metrics"]
            first, media_type = _get(address)
            assert media_type.startswith("text/plain; version=0.0.4") and 'status="failed"} 0\n' in first
            write_run(root, "flowers", "20260102-000000-000", "failed")
            failed = 'graft_pipeline_last_run_status{pipeline="flowers",status="failed"} 1\n'
            until(lambda: failed in _get(address)[0])
            with pytest.raises(urllib.error.HTTPError) as caught:
                _get(address.replace("/metrics", "/"))
            assert caught.value.code == 404
            assert 'status="failed"} 1\n' in pathlib.Path(path).read_text()
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def _get(address: str) -> tuple[str, str]:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read().decode(), answer.headers["content-type"]
