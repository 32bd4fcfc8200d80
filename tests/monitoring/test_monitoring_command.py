"""What the monitoring layer adds to the command line."""

import argparse

from graft.monitoring.cli import add_commands


def test_metrics_is_one_observer_more():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    commands.add_parser("serve").add_argument("--observe", action="append", default=[])
    add_commands(commands, None)
    assert parser.parse_args(["serve"]).observe == []
    assert parser.parse_args(["serve", "--metrics"]).observe == ["metrics"]
    assert parser.parse_args(["serve", "--observe", "log", "--metrics"]).observe == ["log", "metrics"]
