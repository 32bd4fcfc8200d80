"""What this layer adds to the command line."""

import argparse
from collections.abc import Callable


def add_commands(commands: argparse._SubParsersAction, add: Callable) -> None:
    """Adds `--metrics` to `graft serve`; `add` is `pipeline.cli`'s own helper."""
    commands.choices["serve"].add_argument(
        "--metrics",
        action="append_const",
        dest="observe",
        const="metrics",
        help="count requests for Prometheus, at /monitoring/prometheus/metrics on the REST port",
    )
