"""Requests to log, without a server; run as a program, one that logs until it is killed."""

import json
import sys
import time
from typing import Any

import grpc
import numpy as np

from graft.serving.observers import Served


def texts(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def served(request_id: str = "a", **changes: Any) -> Served:
    """An answered request of two texts."""
    values: dict[str, Any] = {
        "model": "m",
        "version": 3,
        "signature": "serving_default",
        "inputs": {"text": texts(b"one", b"two")},
        "outputs": {"scores": np.float32([[0.25, 0.75], [1, 0]]), "label": texts(b"rose", b"tulip")},
        "code": grpc.StatusCode.OK,
        "seconds": 0.0125,
        "transport": "grpc",
        "time": 1_700_000_000.5,
        "request_id": request_id,
    }
    return Served(**values | changes)


def main(options: dict[str, Any]) -> None:
    from graft.monitoring.request_log.observer import RequestLog
    from graft.monitoring.request_log.options import Options

    log = RequestLog(Options(**options))
    assert "tensorflow" not in sys.modules
    number = 0
    while True:
        for _ in range(200):
            log.observe(served(f"r{number}"))
            number += 1
        print(number, flush=True)
        time.sleep(0.01)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
