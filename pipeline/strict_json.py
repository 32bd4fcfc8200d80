"""JSON that every reader takes."""

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(value: Any, indent: int | None = None) -> str:
    """`value` as strict JSON: NumPy's numbers are numbers, what is not finite is null, a path is its text."""
    return json.dumps(_plain(value), default=str, allow_nan=False, indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if type(value).__module__ == "numpy":  # a scalar or an array; NumPy is not imported for those that have none
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
