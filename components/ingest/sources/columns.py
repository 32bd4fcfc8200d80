"""What the sources with columns share: labels, extra columns as text, and errors that name the columns there are."""

from collections.abc import Iterable, Mapping
from typing import Any

from graft.components.ingest.header import Refused
from graft.components.ingest.options import RESERVED_FEATURES, DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import Item, as_text
from graft.models.errors import GraftError

_SHOWN_COLUMNS = 50
_SHOWN_TEXT = 2000

MAX_TEXT = 1000
"""Longest extra value in bytes; longer ones are no slices but data."""


def check_columns(where: str, found: Iterable[str], options: DataOptions) -> None:
    """Raises GraftError unless the columns that the options name are there.

    Args:
      where: The file, for the message.
      found: The columns there are.
      options: `columns`, `group` and `slices` are looked at; the split column may be absent.
    """
    found = list(found)
    needed = {"data.columns.image": options.image_column, "data.columns.label": options.columns.label}
    if options.group is not None:
        needed["data.group"] = options.group
    needed |= {f"data.slices[{number}]": name for number, name in enumerate(options.slices)}
    missing = [f"{key} is {name!r}" for key, name in needed.items() if name not in found]
    if missing:
        there = ", ".join(sorted(found)[:_SHOWN_COLUMNS])
        more = f" and {len(found) - _SHOWN_COLUMNS} more" if len(found) > _SHOWN_COLUMNS else ""
        raise GraftError(
            f"{as_text(where)}: no such column: {', '.join(missing)}; there are {there[:_SHOWN_TEXT]}{more}"
        )


def label_text(value: Any, class_names: tuple[str, ...] | None) -> str:
    """The class name for a label as stored: a name, or an index into `class_names`.

    Args:
      value: str, UTF-8 bytes, an integer, or None for no label.
      class_names: `DataOptions.class_names`, or the names that the source itself brings.

    Returns:
      The name; an integer without names, or outside them, stays a number; empty for no label.
    """
    text = value_text(value) or ""
    if class_names is not None and text not in class_names and text.isdecimal() and int(text) < len(class_names):
        return class_names[int(text)]
    return text


def split_text(row: Mapping[str, Any], options: DataOptions) -> str | None:
    """What the row's split column says, or None where there is no such column or it is empty."""
    name = options.columns.split
    return (value_text(row.get(name)) or None) if name else None


def group_text(row: Mapping[str, Any], options: DataOptions) -> str | None:
    """The row's value of the column `data.group`: empty for a missing one, None where no column is named.

    Raises:
      Refused: It is no single value, so nobody can say which group is meant.
    """
    if options.group is None:
        return None
    value = row.get(options.group)
    if isinstance(value, list | tuple) and not value:  # a tf.Example's feature without a value
        return ""
    if isinstance(value, list | dict | tuple):
        raise Refused(Reason.BAD_GROUP, f"column {options.group!r} holds {type(value).__name__} {str(value)[:100]}")
    if value is None or value != value:  # NaN, which stands for a missing number
        return ""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else as_text(str(value))
    return text.rstrip("\0")


def add_group(item: Item, row: Mapping[str, Any], options: DataOptions) -> Item:
    """Sets the item's group, or the reason why it has none."""
    try:
        item.group = group_text(row, options)
    except Refused as refused:
        item.reason, item.detail = refused.reason, refused.detail
    return item


def extra_columns(row: Mapping[str, Any], options: DataOptions) -> dict[str, str]:
    """The extra columns of a row as text, without those that ingestion reads or writes itself.

    Each name of `options.slices` is there: evaluation needs every image in one slice of the column. Its text is empty
    where the row has no value, a list, or a value longer than `MAX_TEXT`. Other columns are left out then, but for a
    missing value, which is an empty text. Zero bytes at the end, with which some writers pad, are dropped.
    """
    columns = options.columns
    taken = {options.image_column, columns.label, columns.split, *RESERVED_FEATURES}
    texts = {name: value_text(value) for name, value in row.items() if name not in taken}
    found = {as_text(name): text.rstrip("\0") for name, text in texts.items() if text is not None}
    return dict.fromkeys(options.slices, "") | found


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
