"""What the sources with columns share: what a row says, and errors that name the columns there are."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources.base import About, as_text, of_place
from graft.models import examples
from graft.models.errors import GraftError
from graft.models.inputs.base import Refused

_SHOWN_COLUMNS = 50
_SHOWN_TEXT = 2000

MAX_TEXT = 1000
"""Longest extra value in bytes; longer ones are no slices but data."""


def check_columns(where: str, found: Iterable[str], request: Request) -> None:
    """Raises GraftError unless the columns that are asked for are there.

    Args:
      where: The file, for the message.
      found: The columns there are.
      request: What is asked for; the split column may be absent.
    """
    found = list(found)
    missing = [f"{key} is {name!r}" for key, name in request.needed_columns.items() if name not in found]
    if missing:
        there = ", ".join(sorted(found)[:_SHOWN_COLUMNS])
        more = f" and {len(found) - _SHOWN_COLUMNS} more" if len(found) > _SHOWN_COLUMNS else ""
        raise GraftError(
            f"{as_text(where)}: no such column: {', '.join(missing)}; there are {there[:_SHOWN_TEXT]}{more}"
        )


def read_row(
    row: Mapping[str, Any],
    request: Request,
    class_names: tuple[str, ...] | None = None,
    *,
    split: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> About:
    """What a row says of its example.

    Args:
      row: Values by column.
      request: What is asked for.
      class_names: Names of the classes that the source itself brings.
      split: What the source names outside of the row; then the split column is not looked at.
      extra: The columns that may be extra ones; by default all of the row. A quick check wants none.
    """
    about = About(columns=extra_columns(row if extra is None else extra, request))
    try:
        domain = domain_of(row, request)
        value, domain = request.labelled(row, domain, class_names)
        about = about._replace(value=value)
        name = split if split is not None else split_text(row, request)
        about = about._replace(
            split=request.split_of(_named_split(name, request), domain),
            group=group_text(row, request),
            domain=domain,
            weight=weight_of(row, request),
        )
        return of_place(about, request)
    except Refused as refused:
        texts = [value_text(row.get(name)) or "" for name in request.target.columns]
        return about._replace(
            value=about.value or tuple(text for text in texts if text), refused=(refused.reason, refused.detail)
        )


def _named_split(name: str | None, request: Request) -> str | None:
    try:
        return request.data.named_split(name)
    except ValueError as error:
        raise Refused(Reason.BAD_SPLIT, str(error)) from error


def split_text(row: Mapping[str, Any], request: Request) -> str | None:
    """What the row's split column says, or None where there is no such column or it is empty."""
    name = request.data.columns.split
    return (value_text(row.get(name)) or None) if name else None


def group_text(row: Mapping[str, Any], request: Request) -> str | None:
    """The row's value of the column `data.group`: empty for a missing one, None where no column is named.

    Raises:
      Refused: It is no single value, so nobody can say which group is meant.
    """
    return None if request.data.group is None else _single(row, request.data.group, Reason.BAD_GROUP)


def domain_of(row: Mapping[str, Any], request: Request) -> str | None:
    """The domain of a row by `data.domain`; None where there is none.

    Raises:
      Refused: The column holds no single value.
    """
    domain = request.data.domain
    if domain is None:
        return None
    text = _single(row, domain.column, Reason.BAD_DOMAIN)
    return examples.TARGET_DOMAIN if text == domain.target else examples.SOURCE_DOMAIN


def weight_of(row: Mapping[str, Any], request: Request) -> float | None:
    """The row's value of the column `data.weight`; None where no column is named.

    Raises:
      Refused: It is no finite number above 0 in 32 bit.
    """
    if request.data.weight is None:
        return None
    value = row.get(request.data.weight)
    try:
        weight = float(value.decode() if isinstance(value, bytes) else value)  # type: ignore[arg-type]
        if struct.unpack("<f", struct.pack("<f", weight))[0] > 0 and weight < float("inf"):
            return weight
    except (TypeError, ValueError, OverflowError):
        pass
    raise Refused(
        Reason.BAD_WEIGHT, f"column {request.data.weight!r} holds {_short(value)}; it must be a finite number above 0"
    )


def _single(row: Mapping[str, Any], column: str, reason: Reason) -> str:
    """A single value as text without the zero bytes with which some writers pad; empty for a missing one."""
    value = row.get(column)
    if isinstance(value, list | tuple) and not value:  # a tf.Example's feature without a value
        return ""
    if isinstance(value, list | dict | tuple):
        raise Refused(reason, f"column {column!r} holds {type(value).__name__} {_short(value)}")
    if value is None or value != value:  # NaN, which stands for a missing number
        return ""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else as_text(str(value))
    return text.rstrip("\0")


def _short(value: Any) -> str:
    return str(value)[:100]


def extra_columns(row: Mapping[str, Any], request: Request) -> dict[str, str]:
    """The extra columns of a row as text, without those that ingestion reads or writes itself.

    Each name of `data.slices` is there: evaluation needs every example in one slice of the column. Its text is empty
    where the row has no value, a list, or a value longer than `MAX_TEXT`. Other columns are left out then, but for a
    missing value, which is an empty text. Zero bytes at the end, with which some writers pad, are dropped.
    """
    taken = request.unwritten
    texts = {name: value_text(value) for name, value in row.items() if name not in taken}
    found = {as_text(name): text.rstrip("\0") for name, text in texts.items() if text is not None}
    return dict.fromkeys(request.data.slices, "") | found


def value_text(value: Any) -> str | None:
    """A single value as text; None when it is no single value, or too long."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | dict | tuple):
        return None
    text = as_text(str(value))
    return text if len(text.encode()) <= MAX_TEXT else None


def content_of(value: Any, request: Request) -> bytes | None:
    """The content in a cell: bytes, or text where the input is text; None where there is none."""
    if isinstance(value, bytes):
        return value
    # Of a CSV that is not UTF-8 the bytes themselves; a lone surrogate of another source is the input's to refuse.
    if isinstance(value, str) and not request.input.reads_paths:
        try:
            return value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return None
