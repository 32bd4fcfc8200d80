"""Folders of runs as `graft run` leaves them."""

import json
import pathlib
from typing import Any


def write_run(root: pathlib.Path, pipeline: str, run: str, status: str = "passed", **more: Any) -> pathlib.Path:
    """Writes `run.json` of a run of 90 s with one open gate; returns the file."""
    folder = root / pipeline / "runs" / run
    folder.mkdir(parents=True)
    value = {
        "run_id": run,
        "status": status,
        "stages": [{"name": "ingest", "seconds": 20.0}, {"name": "train", "seconds": 60.0}],
        "gates": [{"name": "f1", "value": 0.9, "limit": 0.5, "passed": True, "detail": ""}],
        "started": 1000.0,
        "ended": 1090.0,
    }
    path = folder / "run.json"
    path.write_text(json.dumps(value | more))
    return path
