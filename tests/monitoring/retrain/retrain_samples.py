"""Windows, events and a configuration of a model that may be retrained; nothing is trained."""

import pathlib
from typing import Any

import drift_samples as samples
import yaml

from graft.monitoring.drift import results
from graft.monitoring.retrain.audit import Event

HOUR = 3600.0
NOW = samples.NOON


def window(
    number: int, drifted: bool, version: int = 1, kind: str = "requests", closed: float = NOW - HOUR, **changes: Any
):
    """A judged window; `changes` are of the test that is its alarm."""
    values: dict[str, Any] = {"signal": "tokens", "group": "input", "against": "reference", "rows": 400}
    values |= changes
    values |= {"effect": 0.3, "least_effect": 0.1, "p_value": 1e-6, "level": 1e-3, "alarm": True}
    return results.Window(
        kind=kind,
        model=samples.MODEL,
        version=version,
        number=number,
        begin=closed - HOUR,
        end=closed,
        closed=closed,
        reason="labels" if kind == "labels" else "rows",
        requests=400,
        rows=400,
        tests=(results.Test(**values),) if drifted else (),
        drifted=drifted,
    )


def windows(*drifted: bool, **changes: Any) -> list[results.Window]:
    """Several, one after the other."""
    return [window(number, one, **changes) for number, one in enumerate(drifted, 1)]


def event(kind: str, time: float, **changes: Any) -> Event:
    """An event of the audit."""
    return Event(time=time, kind=kind, model=samples.MODEL, **changes)  # type: ignore[arg-type]


def retraining(began: float, ended: float, status: str = "passed", learned: float | None = None, run: str = "r1"):
    """Start and end of one."""
    return [
        event("started", began, run=run, learned_until=learned),
        event("finished", ended, run=run, status=status, ended=ended, learned_until=learned),
    ]


def config(root: pathlib.Path, requests: int = 60, labels: int = 30, **retrain: Any) -> pathlib.Path:
    """A configuration whose model is in the store, with a log of one-text requests and labels for the first of them."""
    if not (root / "store").exists():
        samples.make_store(root)
    contents, answers, truth = samples.examples(requests, samples.np.random.default_rng(5))
    asked = [samples.request(f"q{n}", [contents[n] + b" %d" % n], answers[[n]], NOW + n) for n in range(requests)]
    samples.write_log(root / "log", asked)
    samples.put_labels(root, {f"q{n}": samples.CLASSES[truth[n]] for n in range(labels)})
    (root / "old.csv").write_text("text,label\n" + "".join(f"old {n},{samples.CLASSES[n % 2]}\n" for n in range(20)))
    value = {
        "name": samples.MODEL,
        "data": {"source": "csv", "path": str(root / "old.csv"), "max_rejected": 0.2, "split": {"eval": 0.2}},
        "input": {"kind": "text"},
        "backbone": {"handle": "nowhere"},
        "store": str(root / "store"),
        "root": str(root / "runs"),
        "monitoring": {"request_log": {"folder": str(root / "log")}, "retrain": retrain},
    }
    path = root / "m.yaml"
    path.write_text(yaml.safe_dump(value))
    return path
