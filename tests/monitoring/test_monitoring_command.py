"""What the monitoring layer adds to the command line."""

import argparse
import json
import signal
import subprocess
import sys
import urllib.request

import pytest
from small_models import save_linear
from waiting import until

from graft.models import entry_points
from graft.models.errors import GraftError
from graft.monitoring.cli import add_commands
from graft.serving.store import open_store


def test_metrics_is_one_observer_more():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    commands.add_parser("serve").add_argument("--observe", action="append", default=[])
    commands.add_parser("demo")
    add_commands(commands, lambda name, *_: commands.add_parser(name))
    assert parser.parse_args(["serve"]).observe == []
    assert parser.parse_args(["serve", "--metrics"]).observe == ["metrics"]
    assert parser.parse_args(["serve", "--observe", "log", "--metrics"]).observe == ["log", "metrics"]


@pytest.mark.parametrize("group", ["graft.commands", "graft.observers", "graft.orchestrators", "graft.sections"])
def test_what_graft_registers_can_be_imported(group):
    found = entry_points.find(group, "entry")
    assert found and all(entry_points.load(entry, name) for name, entry in found.items())


def test_observers_with_options_are_made_when_the_server_starts(tmp_path, monkeypatch):
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    commands.add_parser("serve").add_argument("--observe", action="append", default=[])
    commands.add_parser("demo")
    add_commands(commands, lambda name, *_: commands.add_parser(name))
    options = ["--access-log", str(tmp_path / "none" / "log"), "--traces", "collector"]
    access_log, traces = parser.parse_args(["serve", *options]).observe
    with pytest.raises(GraftError, match=r"--access-log: .*none.log: No such file or directory"):
        access_log()
    with pytest.raises(GraftError, match="--traces is 'collector'; allowed: http://HOST:PORT"):
        traces()


@pytest.mark.slow
def test_the_command_serves_a_page_for_prometheus_and_keeps_an_access_log(tmp_path):
    open_store(tmp_path / "store").push("m", save_linear(tmp_path / "model", 0.5, 2.0), {})
    access = tmp_path / "access.jsonl"
    options = ["--embedded", "--metrics", "--json", "--grpc-port", "0", "--rest-port", "0", "--log-format", "json"]
    options += ["--access-log", str(access)]
    command = [sys.executable, "-m", "graft.pipeline.cli", "serve", str(tmp_path / "store"), *options]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        try:
            rest = json.loads(server.stdout.readline())["rest"]
            body = json.dumps({"inputs": [1.0]}).encode()
            with urllib.request.urlopen(f"{rest}/v1/models/m:predict", body, timeout=30) as answer:
                assert json.load(answer) == {"outputs": [2.5]}
            until(access.read_text)
            access.rename(tmp_path / "moved.jsonl")
            server.send_signal(signal.SIGHUP)
            until(access.exists)
            with urllib.request.urlopen(f"{rest}/monitoring/prometheus/metrics", timeout=30) as answer:
                page = answer.read().decode()
        finally:
            server.terminate()
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 1\n' in page
    assert server.returncode == 0
    [first, *_], [second, *_] = ((tmp_path / name).read_text().splitlines() for name in ("moved.jsonl", "access.jsonl"))
    assert (json.loads(first)["method"], json.loads(second)["method"]) == ("predict", "page")
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    assert any(one["message"] == "drained" and one["level"] == "INFO" for one in logged)
