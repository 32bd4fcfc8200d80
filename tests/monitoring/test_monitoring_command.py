"""What the monitoring layer adds to the command line."""

import argparse
import json
import pathlib
import subprocess
import sys
import urllib.request

import pytest
from small_models import save_linear

from graft.models import entry_points
from graft.monitoring.cli import add_commands
from graft.serving.store import open_store


def test_metrics_is_one_observer_more():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    commands.add_parser("serve").add_argument("--observe", action="append", default=[])
    add_commands(commands, lambda name, *_: commands.add_parser(name))
    assert parser.parse_args(["serve"]).observe == []
    assert parser.parse_args(["serve", "--metrics"]).observe == ["metrics"]
    assert parser.parse_args(["serve", "--observe", "log", "--metrics"]).observe == ["log", "metrics"]


@pytest.mark.parametrize("group", ["graft.commands", "graft.observers", "graft.sections"])
def test_what_graft_registers_can_be_imported(group):
    found = entry_points.find(group, "entry")
    assert found and all(entry_points.load(entry, name) for name, entry in found.items())


@pytest.mark.slow
def test_the_command_serves_a_page_for_prometheus(tmp_path):
    open_store(tmp_path / "store").push("m", save_linear(tmp_path / "model", 0.5, 2.0), {})
    options = ["--embedded", "--metrics", "--json", "--grpc-port", "0", "--rest-port", "0"]
    graft = pathlib.Path(sys.executable).with_name("graft")
    with subprocess.Popen([graft, "serve", tmp_path / "store", *options], stdout=subprocess.PIPE, text=True) as server:
        try:
            rest = json.loads(server.stdout.readline())["rest"]
            body = json.dumps({"inputs": [1.0]}).encode()
            with urllib.request.urlopen(f"{rest}/v1/models/m:predict", body, timeout=30) as answer:
                assert json.load(answer) == {"outputs": [2.5]}
            with urllib.request.urlopen(f"{rest}/monitoring/prometheus/metrics", timeout=30) as answer:
                page = answer.read().decode()
        finally:
            server.terminate()
    assert ':tensorflow:serving:request_count{model_name="m",status="OK"} 1\n' in page
    assert server.returncode == 0
