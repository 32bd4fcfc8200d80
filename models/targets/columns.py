"""Values of a source's row as texts."""

import math
import os
from collections.abc import Sequence
from typing import Any

MAX_TEXT = 1000
"""Longest value in bytes; longer ones name nothing."""


def index_text(value: Any, names: Sequence[str] | None) -> str:
    """The class name for a label as stored: a name, or an index into `names`.

    Args:
        value: str, UTF-8 bytes, an integer, or None for no label.
        names: what an integer indexes; None: nothing.

    Returns:
        The name; an integer without names, or outside them, stays a number; empty for no label.
    """
    text = one_text(value)
    if names is not None and text not in names and text.isdecimal() and int(text) < len(names):
        return names[int(text)]
    return text


def one_text(value: Any) -> str:
    """A single value as valid Unicode; empty for a missing one, for a list, and for one longer than `MAX_TEXT`."""
    if value is None or isinstance(value, list | dict | tuple) or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
    else:
        text = str(value)
        text = text if text.isascii() else os.fsencode(text).decode("utf-8", "backslashreplace")
    return text if len(text.encode()) <= MAX_TEXT else ""
