"""What commands print: one JSON object with `--json`, else lines for a person."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from graft.models.text import printable, say


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
