"""What commands print: one JSON object with `--json`, else lines for a person."""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from graft.models.text import printable, say, traceback_lines
from graft.pipeline.strict_json import to_json

if TYPE_CHECKING:
    from graft.pipeline.ending import Ending
    from graft.pipeline.result import RunResult

EXIT_GATE, EXIT_ERROR, EXIT_FAULT = 1, 2, 3
_LEAST = 24  # characters of a column that is broken


def cell_len(text: str) -> int:
    """Places that a text takes on a terminal."""
    from rich.cells import cell_len  # imported here: the client alone lacks it, and prints no tables

    return cell_len(text)


def answer(args: argparse.Namespace, value: Any, *lines: str) -> None:
    """Prints `value` as JSON if the command was given `--json`, else `lines`."""
    if args.json:
        say(to_json(value))
    else:
        say(*lines)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> list[str]:
    """Lines of a table with aligned columns; a wide character, as of Chinese, takes two places, None none.

    On a terminal that is too narrow the last column is broken between words. Where too little is left for that, each
    row becomes a block of lines, one for each column.
    """
    body = [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    cells = [list(header), *body] if header else body
    lines, room = _aligned(cells), _columns()
    if room is None or max(map(cell_len, lines), default=0) <= room:
        return lines
    if room - _indent(cells) >= _LEAST:
        return _broken(cells, room)
    names = header or [""] * len(body[0])
    blocks = [_broken([list(pair) for pair in zip(names, row, strict=True)], room) for row in body]
    return [line for block in blocks for line in ("", *block)][1:]


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in cells]


def _indent(cells: Sequence[Sequence[str]]) -> int:
    """Where the last column begins."""
    return sum(2 + max(map(cell_len, column)) for column in list(zip(*cells, strict=True))[:-1])


def _broken(cells: Sequence[Sequence[str]], room: int) -> list[str]:
    """Aligned, the last column broken between words. A longer word, as a path, stays whole, to be copied."""
    left = max(1, room - _indent(cells))
    lines = []
    for *before, last in cells:
        first, *more = textwrap.wrap(last, left, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [[*before, first], *([*[""] * len(before), piece] for piece in more)]
    return _aligned(lines)


def fitted(lines: Iterable[str], room: int | None = None) -> list[str]:
    """Lines broken between words where the terminal is too narrow, with what goes on below set in.

    Args:
        lines: whole.
        room: width of the terminal; None: of the one that stdout is.
    """
    room = room or _columns()
    if room is None:
        return list(lines)
    wide = max(room, _LEAST)
    return [
        piece
        for line in lines
        for piece in (
            textwrap.wrap(line, wide, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
            if cell_len(line) > wide
            else [line]
        )
    ]


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def _columns() -> int | None:
    """Width of the terminal that stdout is, by COLUMNS where that is set; None for a pipe or file: a program reads."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


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
        say(to_json(result.to_json() | ({"error": message} if result.failure else {}) | (more or {})))
    else:
        rows = [
            (s.name, f"{s.seconds:.1f}", "cached" if s.cached else "run", s.result or s.status) for s in result.stages
        ]
        say(*table(rows, ("stage", "seconds", "cached", "result")))
        say(*fitted(gate.line for gate in result.gates))
        for warning in result.warnings:
            say(*fitted([warning.line]), bold=warning.grave)
        if result.report:
            say(f"report: {result.report}")
        if result.shows_training:
            say(f"training: {result.shows_training}")
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
                say(to_json({"status": "gate_closed", "error": str(error)}))
            say(f"graft: {error}", file=sys.stderr)
            return EXIT_GATE
