"""A watched model of pictures whose results are made by hand: nothing is trained, served or judged."""

import hashlib
import itertools
import pathlib
import sqlite3
from collections.abc import Sequence

import grpc
import numpy as np
from metadata_writer import MetadataWriter
from small_images import image_file
from tfrecords import framed

from graft.models import examples, inputs, targets
from graft.models.signals.collect import Collector
from graft.models.signals.reference import PLACE, Reference
from graft.monitoring.drift import results, state
from graft.monitoring.drift.watched import References, Watched
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options
from graft.serving.observers import Served
from graft.serving.store import open_store

MODEL, HOSTILE = "flowers", "<script>alert(1)</script>"
CLASSES = (HOSTILE, "rose", "tulip")
BEGIN = 1_700_049_600.0
DAY = 86400.0


def pictures(count: int, brightness: float, seed: int) -> list[bytes]:
    """PNG files."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        pixels = np.clip(rng.normal(0, 12, (24, 32, 3)) + rng.normal(brightness, 18), 0, 255)
        pixels[6:18, 8:24] = np.clip(pixels[6:18, 8:24] + rng.uniform(-90, 90, 3), 0, 255)
        made.append(image_file(pixels.astype(np.uint8)))
    return made


def answers(count: int, sure: float, seed: int) -> np.ndarray:
    """Probabilities [count, 3]."""
    rng = np.random.default_rng(seed)
    best = np.clip(rng.normal(sure, 0.08, count), 0.4, 0.98)
    found = np.repeat((1 - best)[:, None] / 2, 3, axis=1)
    found[np.arange(count), rng.integers(0, 3, count)] = best
    return found.astype(np.float32)


def reference(contents: Sequence[bytes]) -> Reference:
    """Of pictures, as the pipeline makes it; 9 of 10 answers are right."""
    given = answers(len(contents), 0.85, 1)
    truth = np.where(np.arange(len(contents)) % 10, given.argmax(axis=1), (given.argmax(axis=1) + 1) % 3)
    target = targets.make_target(targets.parse_options({"kind": "label"}), CLASSES)
    collector = Collector(inputs.make_input(inputs.parse_options({"kind": "image"})), {})
    for content in contents:
        collector.see(content, collector.input.admit(content))
    return collector.reference(target, truth, given, {"split": "test"})


def make(root: pathlib.Path, quality_falls: bool = True, before: bool = True) -> pathlib.Path:
    """Store, log, results and metadata below a folder; returns the configuration's path.

    Two versions; the second has six windows: the last three are dark, and labels say that quality fell.
    """
    contents = pictures(60, 150, 0)
    for version in (1, 2):
        export = root / f"export{version}"
        (export / PLACE).parent.mkdir(parents=True)
        (export / "saved_model.pb").write_bytes(bytes([version]))
        reference(contents).save(export / PLACE)
        open_store(root / "store").push(MODEL, export, {"run_id": f"run-{version}"})
    drift = root / "runs" / MODEL / "drift"
    watched = References(drift, str(root / "store"), MODEL).get(2)
    windows = [calm(1, 1, watched), *(calm(2, number, watched) for number in (1, 2, 3))]
    windows += [dark(number, watched) for number in (4, 5, 6)]
    windows.append(labelled(7, 0.62 if quality_falls else 0.89, watched))
    put(drift, windows)
    with state.State(drift, MODEL) as kept, kept.transaction():
        kept.count(files=7, records=700, requests=680, repeated=12, damaged_files=1, foreign_records=3, late=5)
        kept.add_unknown(9, 40, f"version 9 has no reference ({HOSTILE})")
    log(root / "log", pictures(30, 60, 3), BEGIN + 7.5 * DAY)
    if before:
        metadata(root / "runs" / MODEL, contents)
    path = root / "c.yaml"
    path.write_text(
        f"name: {MODEL}\ndata: {{source: image_folder, path: d}}\nbackbone: {{handle: b}}\nstore: {root / 'store'}\n"
        f"root: {root / 'runs'}\nmonitoring: {{request_log: {{folder: {root / 'log'}}}}}\n"
    )
    return path


def calm(version: int, number: int, watched: Watched, **changes) -> results.Window:
    """A window in which nothing moved."""
    begin = BEGIN + DAY * (number + (version - 1))
    reference = watched.reference
    values = {"kind": "requests", "model": MODEL, "version": version, "number": number, "reason": "time"}
    values |= {"begin": begin, "end": begin + DAY - 60, "closed": begin + DAY, "requests": 100, "rows": 100}
    values |= {"counts": reference.counts, "tests": compared(watched, {}), "drifted": False}
    values |= {"estimate": results.Mean(mean=0.9, low=0.85, high=0.95, miss=0.05, rows=100)}
    values |= {"reference_time": BEGIN, "unmeasured": {"inputs": 4}}
    return results.Window(**values | changes)


def dark(number: int, watched: Watched) -> results.Window:
    """A window in which brightness and contrast moved, and answers became unsure."""
    seen = [watched.watch(content) for content in pictures(60, 60, number)]
    signals = watched.reference.signals
    counts = dict(watched.reference.counts)
    counts |= {name: signals[name].counts([one[name] for one in seen]) for name in seen[0] if name in signals}
    counts["predicted"] = (50, 5, 5, 0, 0)
    moved = {"brightness": 0.71, "contrast": 0.33, "predicted": 0.28}
    estimate = results.Mean(mean=0.71, low=0.64, high=0.78, miss=0.05, rows=100)
    tests = compared(watched, moved)
    return calm(2, number, watched, counts=counts, tests=tests, drifted=True, estimate=estimate, in_row={"input": 1})


def compared(watched: Watched, moved: dict[str, float]) -> tuple[results.Test, ...]:
    """A comparison of each signal with the reference; those that moved are alarms."""
    tests = []
    for place, (name, group) in enumerate(watched.reference.group.items()):
        effect = moved.get(name, 0.002 * place)
        told = {"p_value": 1e-12 if name in moved else 0.4, "level": 0.0012, "alarm": name in moved}
        tests.append(results.Test(signal=name, group=group, against="reference", rows=100, effect=effect,
                                  least_effect=0.1, **told))  # fmt: skip
    return tuple(tests)


def labelled(number: int, mean: float, watched: Watched) -> results.Window:
    """Labels of the last windows."""
    fell = mean < 0.8
    test = results.Test(signal="score", group="quality", against="reference", rows=80, effect=max(0.0, 0.9 - mean),
                        least_effect=0.02, p_value=1e-6 if fell else 0.5, level=0.001, alarm=fell)  # fmt: skip
    bins = len(watched.reference.quality["scores"]["counts"])
    right = round(80 * mean)
    counts = {"score": tuple([0, 80 - right, right, *[0] * (bins - 3)])}
    return calm(2, number, watched, kind="labels", rows=80, counts=counts, tests=(test,), drifted=fell, estimate=None,
                quality=results.Mean(mean=mean, low=mean - 0.1, high=mean + 0.1, miss=0.05, rows=80))  # fmt: skip


def put(folder: pathlib.Path, windows: Sequence[results.Window]) -> None:
    """Writes results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / results.NAME).write_text("".join(f"{results.line(window)}\n" for window in windows))


def log(folder: pathlib.Path, contents: Sequence[bytes], begin: float, **changes) -> None:
    """Requests of one picture each to version 2."""
    with RequestLog(Options(folder=str(folder))) as writer:
        for number, content in enumerate(contents):
            given = np.empty(1, object)
            given[0] = content
            values = {"model": MODEL, "version": 2, "signature": "serving_default", "inputs": {"image_bytes": given}}
            values |= {"outputs": {"probabilities": answers(1, 0.6, number)}, "code": grpc.StatusCode.OK}
            values |= {"seconds": 0.01, "transport": "grpc", "time": begin + number, "request_id": f"r{number}"}
            writer.observe(Served(**values | changes))
    for path in folder.glob("*.tfrecord"):  # as if it had been written then
        path.rename(path.with_name(f"requests-20231122T000000.{next(_NUMBERS):03d}Z-00000000.tfrecord"))


_NUMBERS = itertools.count()


def metadata(root: pathlib.Path, contents: Sequence[bytes]) -> None:
    """The run that pushed version 2, with its examples."""
    folder = root / "examples" / "Split-test"
    folder.mkdir(parents=True)
    records = [
        framed(examples.build(content, (CLASSES[0],), f"{n}.png", hashlib.sha256(content).digest(), {}))
        for n, content in enumerate(contents)
    ]
    (folder / "examples-00000").write_bytes(b"".join(records))
    writer = MetadataWriter(root, MODEL)
    writer.execution("run-2", "ingest", {"examples": writer.artifact("Examples", str(folder.parent))})
    pushed = writer.artifact("PushedModel", "x", pushed_version="2", pushed_destination="store")
    writer.execution("run-2", "push", {"pushed_model": pushed}, store_id="s")


def lose_counters(root: pathlib.Path) -> None:
    """The monitor's state becomes something else."""
    path = root / "runs" / MODEL / "drift" / state.NAME
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE totals")
