"""`graft monitor`: its exit status, what it prints, and the service that ends when asked to."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from drift_samples import MODEL, NOON, make_store, traffic, write_log
from prometheus_client.parser import text_string_to_metric_families

from graft.models.errors import GraftError
from graft.monitoring.drift import command, results
from graft.monitoring.drift.monitor import Monitor
from graft.pipeline import cli


@pytest.fixture
def config(tmp_path, monkeypatch) -> pathlib.Path:
    """Of a model with a store and an empty log, both found from the working directory."""
    monkeypatch.chdir(tmp_path)
    make_store(tmp_path)
    (tmp_path / "log").mkdir()
    path = tmp_path / "c.yaml"
    path.write_text(
        f"name: {MODEL}\ndata: {{source: csv, path: d.csv}}\ninput: {{kind: text}}\nbackbone: {{handle: b}}\n"
        "store: store\nroot: runs\n"
        "monitoring: {request_log: {folder: log}, drift: {window: {rows: 400, least: 200}}}\n"
    )
    return path


def monitor(config, *arguments: str) -> int:
    return cli.main(["monitor", str(config), *arguments])


def test_the_exit_status_says_whether_a_window_drifted(config, capsys):
    write_log(config.parent / "log", traffic(500, 1, NOON))
    assert monitor(config) == 0
    shown = capsys.readouterr().out
    assert "requests" in shown and "examples in open windows: version 1: 100" in shown
    write_log(config.parent / "log", traffic(300, 2, NOON, shift=2))
    assert monitor(config, "--json") == command.EXIT_DRIFT
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "drift" and found["totals"]["requests"] == 800 and found["open"] == {"1": 0}
    assert [window["number"] for window in found["windows"]] == [2]
    assert monitor(config) == 0, "told once"
    assert "no window is full" in capsys.readouterr().out
    assert len(list(results.read(config.parent / "runs" / MODEL / "drift"))) == 2


def test_another_versions_drift_is_not_told(config, capsys):
    write_log(config.parent / "log", traffic(400, 2, NOON, shift=2))
    assert monitor(config, "--version", "7", "--textfile", "graft.prom") == 0
    assert "graft_drift_failing" in (config.parent / "graft.prom").read_text()
    assert "graft_drift_statistic{" not in (config.parent / "graft.prom").read_text()


def test_series_are_written_for_prometheus(config):
    write_log(config.parent / "log", traffic(400, 2, NOON, shift=2))
    assert monitor(config, "--textfile", "graft.prom") == 1
    families = {one.name: one for one in text_string_to_metric_families((config.parent / "graft.prom").read_text())}
    drifted = {sample.labels["kind"]: sample.value for sample in families["graft_drift_windows_drifted"].samples}
    assert drifted == {"input": 1, "prediction": 1}
    [words] = [one for one in families["graft_drift_statistic"].samples if one.labels["feature"] == "words"]
    assert words.labels == {"model": MODEL, "kind": "input", "feature": "words"} and words.value > 0.3
    [reference] = families["graft_drift_reference_timestamp_seconds"].samples
    assert reference.labels == {"model": MODEL, "version": "1"} and abs(reference.value - time.time()) < 3600
    assert families["graft_drift_last_window_end_timestamp_seconds"].samples[0].value == NOON + 399


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("folder: log}", "folder: null}"),
            "monitoring.request_log.folder is null; give the folder of the log to watch",
        ),
        (("drift: {", "drift: {folder: log, "), "monitoring.drift.folder is the folder of the log, log"),
        (
            ("folder: log}", "folder: nolog}"),
            "nolog: No such file or directory; it must be the folder of a request log",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_line(config, capsys, change, said):
    config.write_text(config.read_text().replace(*change))
    assert monitor(config) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_textfile_that_cannot_be_written_is_told(config, capsys):
    assert monitor(config, "--textfile", "none/graft.prom") == 2
    assert "--textfile none/graft.prom: No such file or directory" in capsys.readouterr().err


def test_a_service_goes_on_after_a_failure(config, capsys, caplog, monkeypatch):
    write_log(config.parent / "log", traffic(400, 2, NOON, shift=2))
    real, passes = Monitor.look, []

    def look(self, ended):
        passes.append(1)
        if len(passes) == 1:
            raise GraftError("the store cannot be reached")
        if len(passes) == 4:
            assert "graft_drift_failing" in pathlib.Path("graft.prom").read_text()
            os.kill(os.getpid(), signal.SIGTERM)
        return real(self, ended)

    monkeypatch.setattr(Monitor, "look", look)
    assert threading.current_thread() is threading.main_thread()
    assert monitor(config, "--every", "0.01s", "--json", "--textfile", "graft.prom") == 0
    assert "the store cannot be reached" in caplog.text and len(passes) == 4
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["drifted"], "each window once, as a line"


@pytest.mark.slow
def test_a_second_monitor_is_refused_and_the_first_ends_when_asked_to(config):
    command_line = [sys.executable, "-m", "graft.pipeline.cli", "monitor", str(config), "--textfile", "graft.prom"]
    with subprocess.Popen([*command_line, "--every", "1h"], stdout=subprocess.PIPE) as service:
        try:
            while not (config.parent / "graft.prom").exists():
                assert service.poll() is None
                time.sleep(0.05)
            second = subprocess.run(command_line, capture_output=True, text=True)
            service.send_signal(signal.SIGTERM)
            assert service.wait(60) == 0
        finally:
            service.kill()
    assert second.returncode == 2
    assert "another `graft monitor` works here; one at a time is allowed" in second.stderr


def test_the_command_is_registered():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for name in ("serve", "demo"):
        commands.add_parser(name)
    from graft.monitoring.cli import add_commands

    add_commands(commands, lambda name, *_: commands.add_parser(name))
    assert parser.parse_args(["monitor", "c.yaml", "--every", "10m"]).every == 600
