"""What commands print: one JSON object with `--json`, else lines for a person."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from graft.models.text import printable, say


def answer(args: argparse.Namespace, value: Any, *lines: str) -> None:
    """Prints `value` as JSON if the command was given `--json`, else `lines`."""
    if args.json:
        say(json.dumps(value, default=str))
    else:
        say(*lines)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> list[str]:
    """Lines of a table with aligned columns."""
    cells = [[printable(str(cell)) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
