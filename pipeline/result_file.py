"""`run.json`: how a run went and the configuration that it had, in its folder, with the report beside it."""

import json
import math
import pathlib
from typing import Any

from graft.models.durable import read_small, write_atomic
from graft.pipeline.strict_json import to_json

FILE_NAME, REPORT_FILE = "run.json", "report.html"
_MOST_BYTES = 1 << 26


def save(value: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes it, whole or not at all. Raises OSError."""
    write_atomic(folder / FILE_NAME, to_json(value, indent=1).encode())


def read(folder: pathlib.Path) -> dict[str, Any]:
    """What a run wrote of itself; empty where it wrote nothing, as one that was killed, or where that is damaged."""
    try:
        value = json.loads(read_small(folder / FILE_NAME, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def numbers(metrics: Any) -> dict[str, float]:
    """The metrics of a file that are one number, by name, the headline first as it was written."""
    found = metrics.items() if isinstance(metrics, dict) else ()
    return {str(name): value for name, value in found if is_number(value)}


def is_number(value: Any) -> bool:
    """Whether a value of a file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def headline(metrics: dict[str, float]) -> str:
    """The first of `numbers` in words; empty where there is none."""
    return next((f"{name} {value:.4f}" for name, value in metrics.items()), "")
