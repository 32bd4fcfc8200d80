"""Files of labels that came late: CSV (`.csv`, `.tsv`) or JSONL (`.jsonl`), a row a label.

    request_id,row,label
    5f0c7c1e9c3b4e0e8b6f3f5d5a2c9e11,0,rose

`row` is the place of the example in its request, 0 where it is left out. A row that is at fault is told with its line
and harms no other; a file that is no table is refused as a whole.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graft.components.ingest.csv_table import Table
from graft.models.errors import GraftError
from graft.models.regular_file import open_regular
from graft.serving import request_ids

SUFFIXES = (".csv", ".tsv", ".jsonl")
ID, ROW = "request_id", "row"
MOST_ROWS = 1_000_000
"""More examples no request has."""

_LONGEST_FIELD = 2**16
_LONGEST_LINE = 2**20
_MOST_VALUES = 1000

Label = Mapping[str, str | list[str]]
"""Text, or texts, by column. Numbers are told apart as texts too: 3 and 3.0 are two labels."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What one row says."""

    request_id: str
    row: int
    label: Label


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is wrong with one row: file and line, value, what is allowed."""

    text: str


def rows(path: pathlib.Path, columns: Sequence[str]) -> Iterator[Labelled | Fault]:
    """What the rows of a file say.

    Args:
        path: a regular file.
        columns: those that hold the label.

    Raises:
        GraftError: it cannot be read, has another ending, no such columns, or is no table; rows may be given before.
    """
    if path.suffix not in SUFFIXES:
        raise GraftError(f"{path}: a file of labels ends in {', '.join(SUFFIXES)}")
    for line, row in (_json_lines if path.suffix == ".jsonl" else _table_rows)(path, columns):
        where = f"{path}, line {line}"
        try:
            yield _labelled(row, columns)
        except ValueError as error:
            yield Fault(f"{where}: {error}")


def _table_rows(path: pathlib.Path, columns: Sequence[str]) -> Iterator[tuple[int, Any]]:
    with Table(str(path), str(path), _LONGEST_FIELD) as table:
        missing = [name for name in (ID, *columns) if name not in table.names]
        if missing:
            there = ", ".join(table.names)[:1000] or "none"
            raise GraftError(f"{path}: no such column: {', '.join(missing)}; there are {there}")
        for row in table.rows():
            yield table.line, row


def _json_lines(path: pathlib.Path, _: Sequence[str]) -> Iterator[tuple[int, Any]]:
    try:
        with open_regular(path) as file:
            number = 0
            while content := file.readline(_LONGEST_LINE):
                number += 1
                if len(content) == _LONGEST_LINE:
                    raise GraftError(f"{path}, line {number}: longer than {_LONGEST_LINE} bytes")
                if content.strip():
                    yield number, _parsed(content)
    except OSError as error:
        raise GraftError(f"{path}: {error.strerror}; it must be a file of labels") from error


def _parsed(content: bytes) -> Any:
    """The JSON of a line, or the ValueError it raised."""
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        return ValueError("not JSON: nested too deeply")
    except UnicodeDecodeError:
        return ValueError("not UTF-8")
    except ValueError as error:
        return ValueError(f"not JSON: {error}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _labelled(row: Any, columns: Sequence[str]) -> Labelled:
    """Raises ValueError."""
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, dict):
        raise ValueError(f"a {type(row).__name__}; allowed: an object with {ID} and {', '.join(columns)}")
    request_id = row.get(ID)
    if not isinstance(request_id, str) or not request_ids.is_sound(request_id):
        raise ValueError(f"{ID} is {request_id!r:.200}; allowed: {request_ids.ALLOWED}")
    return Labelled(request_id, _place(row.get(ROW)), {name: _value(name, row.get(name)) for name in columns})


def _place(value: Any) -> int:
    if value is None or value == "":
        return 0
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and int(text) < MOST_ROWS):
        raise ValueError(f"{ROW} is {value!r:.200}; allowed: a whole number from 0 to {MOST_ROWS - 1}")
    return int(text)


def _value(name: str, value: Any) -> str | list[str]:
    if isinstance(value, list):
        if len(value) > _MOST_VALUES:
            raise ValueError(f"{name} has {len(value)} values; at most {_MOST_VALUES} are read")
        return [_text(name, one) for one in value]
    return _text(name, value)


def _text(name: str, value: Any) -> str:
    if value is None or value == "":
        raise ValueError(f"{name} is missing")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and math.isfinite(value):
        return repr(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r:.200}; allowed: text, a number, or a list of them")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is not UTF-8: {value!r:.200}") from None
    if len(value) > _LONGEST_FIELD:
        raise ValueError(f"{name} has {len(value)} characters; at most {_LONGEST_FIELD} are read")
    return value
