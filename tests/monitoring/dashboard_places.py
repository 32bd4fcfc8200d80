"""Runs, a metadata store, a model store, a request log and judged windows, written by hand, some of it hostile."""

import json
import pathlib

from metadata_writer import MetadataWriter
from run_folders import write_run

from graft.monitoring.dashboard.places import Places
from graft.monitoring.drift import results
from graft.monitoring.request_log.labels import LabelStore
from graft.serving.store import open_store

ATTACK = "<script>alert(1)</script>"
HOSTILE = "<img src=x onerror=alert(1)>"
"""Name of a pipeline; a model's cannot be one."""
FIRST, SECOND, LAST = "20260101-000000-000", "20260102-000000-000", "20260103-000000-000"


def make_places(folder: pathlib.Path) -> Places:
    """All of it below a folder."""
    root = folder / "runs"
    _write_runs(root)
    _write_lineage(root / "flowers", folder)
    store = open_store(root / "store", keep=99)
    for number in (1, 2):
        export = folder / f"export{number}"
        export.mkdir()
        (export / "saved_model.pb").write_bytes(bytes([number]))
        store.push("flowers", export, {"run_id": FIRST, "config": {"name": "flowers"}})
    log = folder / "requests"
    log.mkdir()
    (folder / "labels.csv").write_text("request_id,label\na,daisy\n")
    with LabelStore(log) as labels:
        labels.add(HOSTILE, folder / "labels.csv", ["label"])
    write_windows(root / "flowers" / "drift", 3)
    return Places(root, (str(root / "store"),), log)


def _write_runs(root: pathlib.Path) -> None:
    gates = [{"name": ATTACK, "value": 0.4, "limit": 0.5, "passed": False, "detail": ATTACK}]
    write_run(root, "flowers", FIRST, metrics={"f1": 0.8, ATTACK: 1.0}, model_version=1)
    write_run(
        root, "flowers", SECOND, "gate_closed", reason=ATTACK, gates=gates, metrics={"f1": 0.4, ATTACK: 2.0},
        started=90000.0, ended=90010.0,
    )  # fmt: skip
    write_run(root, "flowers", LAST).write_text("{")
    write_run(root, HOSTILE, FIRST)


def _write_lineage(pipeline: pathlib.Path, folder: pathlib.Path) -> None:
    rejected = folder / "rejected"
    rejected.mkdir()
    counts = {split: {ATTACK: 3} for split in ("train", "eval", "test")}
    (rejected / "summary.json").write_text(json.dumps({"used": counts, "rejected_count": 0}))
    writer = MetadataWriter(pipeline, "flowers")
    examples = writer.artifact("Examples", f"/artifacts/{ATTACK}")
    made = {"examples": examples, "rejected": writer.artifact("Rejected", str(rejected))}
    data = {"source": "image_folder", "path": ATTACK}
    writer.execution(FIRST, "ingest", made, data=data, fingerprint="f" * 64, code="c" * 64)
    writer.execution(SECOND, "ingest", made, state="CACHED", data=data, fingerprint="f" * 64, code="c" * 64)
    for run in (FIRST, SECOND):
        model = writer.artifact("Model", f"/artifacts/model/{run}")
        writer.execution(run, "train", {"model": model}, {"examples": examples})
        pushed = writer.artifact("PushedModel", f"/artifacts/pushed/{run}")
        writer.execution(run, "push", {"pushed_model": pushed}, {"model": model, "examples": examples})


def window(number: int, **changes) -> results.Window:
    """A window of 1,000 requests, an hour long, in which one signal drifted."""
    about = {"group": "input", "against": "reference", "rows": 1000, "least_effect": 0.1, "level": 0.01}
    tests = (
        results.Test(signal=ATTACK, effect=0.25, p_value=1e-6, alarm=True, **about),
        results.Test(signal="size", effect=0.02, p_value=0.4, alarm=False, **about),
    )
    end = 1.7e9 + 3600 * number
    values = {"kind": "requests", "model": "flowers", "version": 1, "number": number, "reason": "rows"}
    values |= {"begin": end - 3600, "end": end, "closed": end + 60, "requests": 1000, "rows": 1000, "drifted": True}
    quality = results.Mean(mean=0.9, low=0.85, high=0.95, miss=0.05, rows=1000)
    return results.Window(**values | {"tests": tests, "estimate": quality, "latency_s": {"0.95": 0.01}} | changes)


def write_windows(folder: pathlib.Path, count: int) -> pathlib.Path:
    """Windows 1 to `count`; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / results.NAME
    path.write_text("".join(f"{results.line(window(number))}\n" for number in range(1, count + 1)))
    return path
