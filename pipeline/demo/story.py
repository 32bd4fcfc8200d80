"""The demo's course: a curve of what a backbone is worth by labels, its model served; one that hurts, stopped."""

import dataclasses
import json
import pathlib
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.errors import GraftError
from graft.models.gap import LEAST_SEEDS
from graft.models.gates import Gate
from graft.pipeline.config import Config, parse
from graft.pipeline.demo import data
from graft.pipeline.demo.telling import tell
from graft.pipeline.ending import INTERRUPTED, Ending
from graft.pipeline.progress_view import ProgressView

MNIST, RAW = "mnist", "digits-raw"
LABELS = (1, 5, 20, 50)
"""Labels a class of the curve."""
CLAIMED = 20
"""Of these transfer has to help with so many labels a class."""
RAW_LABELS = 5
"""Training images a class. On the raw digits transfer hurts with 5 labels a class and, less so, with 20."""

_COPIES, _MNIST_STEPS, _RAW_STEPS = 4, 800, 500
_SCRATCH_STEPS = 150
"""Least steps of a network from scratch. Its learning rate is the best of three with 5 and 20 labels of the source's
own classes; more steps made no difference there."""
_TRANSFER = "transfer"
"""What the curve calls the frozen backbone."""
_SHOWN_PER_CLASS = 2
_DATA_SEED = 0
_NAMES = {
    "frozen": "transferred: frozen backbone",
    "raw_head": "logistic regression on raw pixels",
}


@dataclasses.dataclass
class Told:
    """One run of the pipeline and what it compared.

    Attributes:
        result: JSON types of `pipeline.result.RunResult`.
        comparison: as of `models.references.negative_transfer`.
        seconds: wall time.
    """

    result: dict[str, Any]
    comparison: dict[str, Any]
    seconds: float


def demo(root: pathlib.Path, seeds: int, as_json: bool, end: Ending | None = None) -> int:
    """Runs the demo and prints what came out; progress goes to standard error.

    Args:
        root: every demo makes a folder of its own in it, with data, backbones, runs and the model store.
        seeds: trainings of each kind, 3 to 20.
        as_json: one JSON object instead of text.
        end: of the command, see `pipeline.run.run`.

    Returns:
        0 if transfer helped with few labels of MNIST, the model was pushed and answered, and the gate closed on the raw
        digits; else 1, and what went otherwise is on standard error. After a signal 128 and its number.

    Raises:
        GraftError: the number of seeds is out of range, or a run failed.
    """
    if not LEAST_SEEDS <= seeds <= 20:
        raise GraftError(f"--seeds: received {seeds}; allowed: {LEAST_SEEDS} to 20")
    end = end or Ending()
    return tell("demo", root, as_json, end, lambda folder, view: _tell(folder, seeds, view, end), describe)


def _tell(folder: pathlib.Path, seeds: int, view: ProgressView, end: Ending) -> dict[str, Any]:
    """Everything the demo does; JSON types."""
    target, source = _prepare_mnist(folder, view)
    config = _mnist_config(folder, seeds)
    curve, picture = _draw(config, seeds, view)
    end.go_on()
    served = _run(config, view, end)
    server, predictions = _predict(folder, served.result["model_version"], target, view)

    end.go_on()
    raw_source = _prepare_raw(folder, view)
    raw = _run(_raw_config(folder, seeds), view, end)

    value = {
        "folder": str(folder),
        "seeds": curve["seeds"],
        "mnist": {"source_accuracy": source, "curve": curve, "picture": picture},
        "raw": _part(raw.comparison, raw.comparison["scores"], raw_source, RAW_LABELS),
        "server": server,
        "predictions": predictions,
        "runs": {name: {**told.result, "seconds": told.seconds} for name, told in ((MNIST, served), ("raw", raw))},
    }
    reasons = deviations(value)
    return {"status": "failed" if reasons else "passed", "reasons": reasons, **value}


def deviations(value: Mapping[str, Any]) -> list[str]:
    """In what the demo did not go as it should; a sentence each."""
    found = []
    result = value["runs"][MNIST]
    if result["status"] != "passed" or result["model_version"] is None:
        found.append(f"the run on MNIST was to be pushed, but: {result['reason'] or 'no version'}")
    if not value["predictions"]:
        found.append("the server was to answer images; it answered none")
    (point,) = (point for point in value["mnist"]["curve"]["points"] if point["labels"] == CLAIMED)
    for name, gain in point["gains"][_TRANSFER].items():
        if not gain["low"] > 0:
            found.append(
                f"transfer was to help with {CLAIMED} labels a class, but the interval of its gain over {name} begins "
                f"at {gain['low']:+.3f}"
            )
    closed = [gate["name"] for gate in value["runs"]["raw"]["gates"] if not gate["passed"]]
    if closed != ["negative_transfer"]:
        found.append(f"negative_transfer alone was to close on the raw digits; closed: {', '.join(closed) or 'none'}")
    return found


def describe(value: Mapping[str, Any]) -> str:
    """The demo's outcome as text."""
    from graft.pipeline import curve_page

    mnist, raw = value["mnist"], value["raw"]
    right = sum(p["label"] == p["truth"] for p in value["predictions"])
    shown = [f"  {p['file']:<16} truth {p['truth']}  answer {p['label']}" for p in value["predictions"]]
    lines = [
        "1. Real digits (MNIST): how many labels does a backbone of 0-4 save on 5-9?",
        f"   The backbone names {mnist['source_accuracy']:.1%} of held-out digits 0-4 rightly.",
        *(f"   {line}" if line else "" for line in curve_page.lines(mnist["curve"])),
        f"   Picture: {mnist['picture']}",
        "",
        f"2. The pushed model behind the {value['server']}, asked over gRPC: {right} of {len(shown)} right.",
        *shown,
        "",
        f"3. Digits of 8x8 pixels (scikit-learn), {RAW_LABELS} labels a class: a backbone of 0-4 again.",
        f"   The backbone names {raw['source_accuracy']:.1%} of held-out digits 0-4 rightly.",
        *_table(raw["accuracy"]),
        "   (The network from scratch is left out here, to save time.)",
        *[f"   {Gate(**gate).line}" for gate in value["runs"]["raw"]["gates"]],
        f"   {raw['statement']}",
        "",
        "The demo went as it should." if not value["reasons"] else "The demo did NOT go as it should.",
        f"{value['seconds']:.0f} s. Reports:",
        *[f"   {result['report']}" for result in value["runs"].values()],
        f"Serve it: graft serve {value['folder']}/store     Runs: graft runs --root {value['folder']}/runs",
    ]
    return "\n".join(lines)


def _table(accuracy: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [f"   {'test accuracy over seeds':<36}{'min':>8}{'median':>8}{'max':>8}"]
    for name, title in _NAMES.items():
        if name in accuracy:
            rows.append(f"   {title:<36}" + "".join(f"{accuracy[name][key]:>8.3f}" for key in ("min", "median", "max")))
    return rows


def _part(
    comparison: Mapping[str, Any], accuracy: Mapping[str, list[float]], source_accuracy: float, labels: int
) -> dict[str, Any]:
    return {
        "labels_per_class": labels,
        "source_accuracy": source_accuracy,
        "accuracy": {("frozen" if k == "transferred" else k): spread(v) for k, v in accuracy.items()},
        **{key: comparison[key] for key in ("gap", "best_reference", "statement", "test_examples", "epochs")},
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """min, median, max and the values themselves."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "per_seed": list(values)}


def _prepare_mnist(folder: pathlib.Path, view: ProgressView) -> tuple[dict[str, data.Images], float]:
    """Writes the target's images and publishes a backbone trained on the source; returns them and its accuracy."""
    # Imported here, as below: it takes TensorFlow, and a wrong --seeds should be told at once.
    from graft.pipeline.demo import source

    target = data.mnist_target(_DATA_SEED)
    data.write_images(target, folder / "data" / MNIST)
    train, held_out = data.mnist_source(_COPIES, _DATA_SEED)
    view.line(f"{MNIST}: training a backbone on {len(train.labels)} turned and shifted images of 0-4")
    network, accuracy = source.train_source(train, held_out, _MNIST_STEPS, _DATA_SEED, build=source.build_mnist_network)
    source.publish(network, folder / "backbones" / MNIST)
    view.line(f"{MNIST}: backbone published; accuracy {accuracy:.4f} on {len(held_out.labels)} held-out digits 0-4")
    return target, accuracy


def _prepare_raw(folder: pathlib.Path, view: ProgressView) -> float:
    """The same for the raw digits; returns the backbone's accuracy."""
    from graft.pipeline.demo import source

    side = data.DIGIT_SIDE
    data.write_images(data.target_images(side, RAW_LABELS, _DATA_SEED), folder / "data" / RAW)
    train, held_out = data.source_images(side, 1, _DATA_SEED)
    view.line(f"{RAW}: training a backbone on {len(train.labels)} images of 0-4 ({side}x{side})")
    network, accuracy = source.train_source(train, held_out, _RAW_STEPS, _DATA_SEED)
    source.publish(network, folder / "backbones" / RAW)
    view.line(f"{RAW}: backbone published; accuracy {accuracy:.4f} on {len(held_out.labels)} held-out digits 0-4")
    return accuracy


def _draw(config: Config, seeds: int, view: ProgressView) -> tuple[dict[str, Any], str]:
    """The curve of the frozen backbone, judged on test, where the run's report finds it; and its picture's path.

    The run takes over its features. Test may be opened: nothing is chosen by it, neither here nor later.
    """
    from graft.components.ingest.fingerprint import fingerprint
    from graft.pipeline import curve_command, curve_page

    methods = {_TRANSFER: {"method": "frozen"}}
    found = curve_command.draw(
        config, methods, LABELS, seeds, ["raw", "scratch"], view, steps=_SCRATCH_STEPS, test=True
    )
    _, picture = curve_page.save(found, curve_page.folder(config, fingerprint(config.request())))
    return found, str(picture)


def _mnist_config(folder: pathlib.Path, seeds: int) -> Config:
    # Of the network from scratch; the head is solved. The curve has that network, so the gate does without it.
    train = {"epochs": 8, "batch_size": 4, "learning_rate": 1e-3}
    compared = {"seeds": seeds, "references": ["raw"]}
    return _config(folder, MNIST, data.MNIST_SIDE, train, compared, 0.7)


def _raw_config(folder: pathlib.Path, seeds: int) -> Config:
    compared = {"seeds": seeds, "references": ["raw"]}
    return _config(folder, RAW, data.DIGIT_SIDE, {}, compared, 0.4)


def _config(
    folder: pathlib.Path,
    name: str,
    side: int,
    train: dict[str, Any],
    compared: dict[str, Any],
    floor: float,
) -> Config:
    """The pipeline's configuration; what is not set here has its default."""
    return parse(
        {
            "name": name,
            "data": {"source": "csv", "path": str(folder / "data" / name / data.CSV_NAME)},
            "input": {"image_size": [side, side], "value_range": [0, 1]},
            "backbone": {"handle": str(folder / "backbones" / name)},
            "transfer": {"method": "frozen"},
            "train": train,
            "gates": {"accuracy": floor, "negative_transfer": compared},
            "store": str(folder / "store"),
            "root": str(folder / "runs"),
        },
        "demo",
    )


def _run(config: Config, view: ProgressView, end: Ending) -> Told:
    from graft.pipeline import run
    from graft.pipeline.metadata import Metadata

    view.line(f"{config.name}: transfer {config.transfer.method}")
    started = time.monotonic()
    result = run.run(config, view, end=end)
    if result.status == INTERRUPTED:
        raise KeyboardInterrupt from result.failure
    end.ended()
    outputs = Metadata(config.run_root).outputs(result.run_id)
    if "negative_transfer" not in outputs:
        raise GraftError(
            f"demo: the run {config.name} stopped before anything was compared: {result.reason}"
        ) from result.failure
    comparison = pathlib.Path(outputs["negative_transfer"]["comparison"].uri, "comparison.json")
    return Told(result.to_json(), json.loads(comparison.read_text(encoding="utf-8")), time.monotonic() - started)


def _predict(
    folder: pathlib.Path, version: int | None, target: dict[str, data.Images], view: ProgressView
) -> tuple[str, list[dict[str, Any]]]:
    """Serves the pushed version and asks it about some test files over gRPC."""
    if version is None:
        return "no server", []
    from graft.serving.candidate import candidate_server
    from graft.serving.client import Client
    from graft.serving.store import open_store

    labels = target["test"].labels
    chosen = [int(row) for digit in data.TARGET_CLASSES for row in (labels == digit).nonzero()[0][:_SHOWN_PER_CLASS]]
    files = [f"test/{row:04d}.png" for row in chosen]
    encoded = [(folder / "data" / MNIST / file).read_bytes() for file in files]
    with candidate_server(MNIST, open_store(folder / "store").version_path(MNIST, version)) as server:
        view.line(f"{MNIST}: version {version} served by the {server.kind} at {server.grpc_address}")
        with Client(server.grpc_address, MNIST) as client:
            answers = client.predict_contents(encoded)
    predictions = [
        {"file": file, "truth": str(labels[row]), "label": answer.label, "probabilities": answer.probabilities}
        for file, row, answer in zip(files, chosen, answers, strict=True)
    ]
    return server.kind, predictions
