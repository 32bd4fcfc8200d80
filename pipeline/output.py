"""What commands print: one JSON object with `--json`, else lines for a person."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from graft.models.text import printable, say, traceback_lines

if TYPE_CHECKING:
    from graft.pipeline.ending import Ending
    from graft.pipeline.result import RunResult

EXIT_GATE, EXIT_FAULT = 1, 3


def answer(args: argparse.Namespace, value: Any, *lines: str) -> None:
    """Prints `value` as JSON if the command was given `--json`, else `lines`."""
    if args.json:
        say(json.dumps(value, default=str))
    else:
        say(*lines)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> list[str]:
    """Lines of a table with aligned columns; a wide character, as of Chinese, takes two places."""
    cells = [[printable(str(cell)) for cell in row] for row in ([header, *rows] if header else rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    padded = ([cell + " " * (w - cell_len(cell)) for cell, w in zip(row, widths, strict=True)] for row in cells)
    return ["  ".join(row).rstrip() for row in padded]


def show_run(args: argparse.Namespace, result: "RunResult", end: "Ending", more: dict | None = None) -> int:
    """Prints how a run went.

    Args:
        args: of the command.
        result: of the run.
        end: of the command; it is told that the run is over.
        more: beside the run's own keys in the JSON object.

    Returns:
        the exit code.
    """
    message, code = result.reason, result.exit_code
    end.over(code)
    if code == EXIT_FAULT:
        say(*traceback_lines(result.failure), file=sys.stderr)
    if args.json:
        say(json.dumps(result.to_json() | ({"error": message} if result.failure else {}) | (more or {})))
    else:
        rows = [
            (s.name, f"{s.seconds:.1f}", "cached" if s.cached else "run", s.result or s.status) for s in result.stages
        ]
        say(*table(rows, ("stage", "seconds", "cached", "result")))
        say(*(gate.line for gate in result.gates))
        if result.report:
            say(f"report: {result.report}")
    if message:
        say(f"graft: {message}", file=sys.stderr)
    return code


def until_a_gate(args: argparse.Namespace, command: "Callable[[argparse.Namespace, Ending], int]") -> int:
    """Runs a command that has no run of its own to report; where a gate closes, that is told.

    Args:
        args: of the command.
        command: gets `args` and its ending, and returns the exit code.
    """
    from graft.components.gates import GateClosed
    from graft.pipeline.ending import Ending

    with Ending(args.json, args.process) as end:
        try:
            return command(args, end)
        except GateClosed as error:
            end.over(EXIT_GATE)
            if args.json:
                say(json.dumps({"status": "gate_closed", "error": str(error)}))
            say(f"graft: {error}", file=sys.stderr)
            return EXIT_GATE
