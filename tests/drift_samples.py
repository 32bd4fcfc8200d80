"""A watched model without its network: a store whose versions have a reference, and a log of requests to them."""

import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import numpy as np

from graft.models import inputs, targets
from graft.models.signals.collect import Collector
from graft.models.signals.reference import PLACE, Reference
from graft.monitoring.drift.monitor import Monitor, Place
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.request_log.labels import LabelStore
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options
from graft.serving.observers import Served
from graft.serving.store import open_store

MODEL, CLASSES = "m", ("rose", "tulip")
NOON = 1_700_049_600.0
"""2023-11-15 12:00 UTC, half a day after the last span of 24 hours."""


def examples(rows: int, rng: np.random.Generator, shift: float = 0.0) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Texts, answers [n, 2] and true classes [n]; a shift makes texts longer and answers worse."""
    words = np.maximum(1, rng.normal(12 + 5 * shift, 5, rows)).astype(int)
    contents = [("lorem ipsum " * count)[: 6 * count].encode() for count in words]
    sure = np.clip(rng.normal(0.85 - 0.1 * shift, 0.08, rows), 0.5, 0.99)
    answer = rng.integers(0, 2, rows)
    truth = np.where(rng.random(rows) < sure, answer, 1 - answer)
    answers = np.where(answer[:, None] == [0, 1], sure[:, None], 1 - sure[:, None]).astype(np.float32)
    return contents, answers, truth


def reference(rows: int = 3000, seed: int = 0) -> Reference:
    """Of such examples."""
    contents, answers, truth = examples(rows, np.random.default_rng(seed))
    target = targets.make_target(targets.parse_options({"kind": "label"}), CLASSES)
    collector = Collector(inputs.make_input(inputs.parse_options({"kind": "text"})), {})
    for content in contents:
        collector.see(content, collector.input.admit(content))
    return collector.reference(target, truth, answers, {})


def make_store(folder: pathlib.Path, versions: int = 1, with_reference: bool = True) -> pathlib.Path:
    """Versions 1, 2, ... of MODEL, which differ in a byte."""
    store = open_store(folder / "store")
    for number in range(1, versions + 1):
        export = folder / f"export{number}"
        (export / "assets.extra").mkdir(parents=True)
        (export / "saved_model.pb").write_bytes(bytes([number]))
        if with_reference:
            reference().save(export / PLACE)
        store.push(MODEL, export, {})
    return folder / "store"


def request(request_id: str, contents: Sequence[bytes], answers: np.ndarray, time: float, **changes: Any) -> Served:
    """An answered request."""
    given = np.empty(len(contents), object)
    given[:] = contents
    values: dict[str, Any] = {
        "model": MODEL,
        "version": 1,
        "signature": "serving_default",
        "inputs": {"text": given},
        "outputs": {"probabilities": np.asarray(answers, np.float32)},
        "code": grpc.StatusCode.OK,
        "seconds": 0.01,
        "transport": "grpc",
        "time": time,
        "request_id": request_id,
    }
    return Served(**values | changes)


def failed(request_id: str, time: float, **changes: Any):
    """A request that failed before its text was looked at."""
    return request(request_id, [b"x"], np.zeros((0, 2)), time, code=grpc.StatusCode.INTERNAL, outputs={}, **changes)


def traffic(rows: int, seed: int, begin: float, shift: float = 0.0, gap_s: float = 1.0, **changes: Any) -> list:
    """Requests of one example, one every `gap_s`; ids hold the seed."""
    contents, answers, _ = examples(rows, np.random.default_rng(seed), shift)
    return [
        request(
            f"s{seed}-{number}", [contents[number]], answers[number : number + 1], begin + gap_s * number, **changes
        )
        for number in range(rows)
    ]


def write_log(folder: pathlib.Path, requests: Iterable[Any]) -> list[pathlib.Path]:
    """One more file of the log with these requests; returns the new files."""
    before = set(folder.glob("*.tfrecord"))
    with RequestLog(Options(folder=str(folder), rotate_bytes=2**30, rotate_seconds=1e6)) as log:
        for number, one in enumerate(requests):
            log.observe(one)
            while number % 1000 == 999 and log.counts.waiting > 5000:
                pass
    assert not log.counts["dropped"]
    return sorted(set(folder.glob("*.tfrecord")) - before)


def place(root: pathlib.Path) -> Place:
    """Everything below one folder."""
    return Place(MODEL, str(root / "store"), root / "log", root / "drift", 300.0)


def options(**changes: Any) -> DriftOptions:
    """Small windows."""
    window = {"rows": 400, "least": 100, **changes.pop("window", {})}
    return DriftOptions.model_validate({"window": window, **changes})


def look(root: pathlib.Path, asked: DriftOptions | None = None, now: float = NOON):
    """One pass, by a clock that says `now`."""
    with Monitor(place(root), asked or options(), lambda: now) as monitor:
        return monitor.look()


def put_labels(root: pathlib.Path, labels: dict[str, str] | list[dict[str, Any]]) -> None:
    """Labels that came late: by request id, or as rows of JSONL."""
    rows = (
        [{"request_id": name, "label": label} for name, label in labels.items()] if isinstance(labels, dict) else labels
    )
    path = root / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with LabelStore(root / "log") as store:
        assert store.add(MODEL, path, ("label",)).sound
