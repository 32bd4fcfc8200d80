"""`run.json`: how a run went, in its folder."""

import pathlib
from typing import Any

from graft.models.durable import write_atomic
from graft.pipeline.strict_json import to_json

FILE_NAME = "run.json"


def save(value: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes it, whole or not at all. Raises OSError."""
    write_atomic(folder / FILE_NAME, to_json(value, indent=1).encode())
