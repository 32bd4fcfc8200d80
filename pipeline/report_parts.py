"""The parts of the report: each reads what it needs from the artifacts and returns what the templates show."""

import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml
from tensorflow_metadata.proto.v0 import anomalies_pb2

from graft.components.ingest.splits import SPLITS
from graft.components.ingest.summary import read_rejected, read_summary
from graft.components.predict import predictions
from graft.models.natural import natural_key
from graft.pipeline import pictures, plots
from graft.pipeline.config import Config
from graft.pipeline.lineage import describe_run
from graft.pipeline.metadata import Artifact, Metadata
from graft.pipeline.result import RunResult

Outputs = dict[str, dict[str, Artifact]]
Part = dict[str, Any]

_MOST_REJECTED, _MOST_MISTAKES, _MOST_CLASSES, _MOST_CONFUSED = 50, 12, 30, 10


class Absent(Exception):
    """A part has nothing to show; the message says why."""


def _uri(outputs: Outputs, stage: str, name: str) -> str:
    if stage not in outputs:
        raise Absent(f"Not reached: the run ended before the end of stage {stage}.")
    return outputs[stage][name].uri


def _json(outputs: Outputs, stage: str, name: str, file: str) -> Any:
    return json.loads(pathlib.Path(_uri(outputs, stage, name), file).read_text(encoding="utf-8"))


def _figures(outputs: Outputs) -> dict[str, Any]:
    return _json(outputs, "quality_gate", "quality", "figures.json")


def config(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`yaml`: every key, defaults too."""
    content = config.model_dump(mode="json", by_alias=True)
    return {"yaml": yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)}


def data(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`rows` (class, count by split, total), `totals` by split, `unmeasured`, and the summary's figures."""
    summary = read_summary(_uri(outputs, "ingest", "rejected"))
    names = sorted({name for by_class in summary.used.values() for name in by_class}, key=natural_key)
    rows = [(name, [summary.used[split].get(name, 0) for split in SPLITS]) for name in names]
    return {
        "splits": SPLITS,
        "rows": [(name, counts, sum(counts)) for name, counts in rows],
        "totals": [sum(summary.used[split].values()) for split in SPLITS],
        "unmeasured": summary.unmeasured,
        "used": summary.used_count,
        "seen": summary.total,
        "duplicates": summary.duplicates,
        "megabytes": summary.bytes / 1e6,
        "span": summary.span,
    }


def rejected(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`total`, `reasons` (code, explanation, count), `rows`: the first ones with file, label, reason, detail."""
    uri = _uri(outputs, "ingest", "rejected")
    summary = read_summary(uri)
    return {
        "total": summary.rejected_count,
        "share": summary.rejected_fraction,
        "reasons": [(code, summary.reasons.get(code, code), count) for code, count in summary.rejected.items()],
        "rows": read_rejected(uri)[:_MOST_REJECTED] if summary.rejected_count else [],
    }


def anomalies(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`rows`: split, feature, kind, description, whether the data gate lets it pass."""
    rows = []
    for file in sorted(pathlib.Path(_uri(outputs, "validate", "anomalies")).glob("Split-*/SchemaDiff.pb")):
        split, found = file.parent.name.removeprefix("Split-"), anomalies_pb2.Anomalies.FromString(file.read_bytes())
        rows += [
            (split, feature, info.short_description, info.description)
            for feature, info in sorted(found.anomaly_info.items())
        ]
        if found.HasField("dataset_anomaly_info"):
            info = found.dataset_anomaly_info
            rows.append((split, "(data set)", info.short_description, info.description))
        if found.data_missing:
            rows.append((split, "(data set)", "No examples", "The split holds no examples."))
    return {"rows": rows}


def samples(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`classes`: (name, pictures) of the train split."""
    classes = read_summary(_uri(outputs, "ingest", "rejected")).classes
    shown = pictures.samples(_uri(outputs, "ingest", "examples"), "train", classes[:_MOST_CLASSES])
    return {"classes": list(shown.items()), "left_out": len(classes) - len(shown)}


def curves(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`plot`, and where training ended."""
    history = _json(outputs, "train", "model_run", "history.json")
    if not history["epochs"]:
        raise Absent("No epoch was recorded.")
    phases: dict[str, int] = {}
    for epoch in history["epochs"]:
        phases[epoch["phase"]] = phases.get(epoch["phase"], 0) + 1
    path = history.get("path") or []
    only_solved = bool(path) and len(history["epochs"]) == 1
    return {
        "plot": plots.strengths(path, history["chosen"]) if only_solved else plots.learning_curves(history),
        "solved": path[history["chosen"]] if path else None,
        "only_solved": only_solved,
        "strengths": len(path),
        "refit": history.get("refit", False),
        "method": history["method"],
        "phases": list(phases.items()),
        "best": history["epochs"][history["best_epoch"] - 1],
        "best_epoch": history["best_epoch"],
        "epochs": len(history["epochs"]),
        "max_epochs": history["max_epochs"],
        "resumed_at": history["resumed_at"],
    }


def quality(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """Figures on the test split: overall, `per_class`, `confusion` and the pairs most often taken for each other."""
    figures = _figures(outputs)
    candidate, classes = figures["candidate"], figures["classes"]
    matrix = candidate["confusion"]
    largest = [max(sum(row), 1) for row in matrix]
    pairs = sorted(
        (
            (count, classes[i], classes[j], count / largest[i])
            for i, row in enumerate(matrix)
            for j, count in enumerate(row)
            if i != j and count
        ),
        key=lambda pair: (-pair[0], pair[1:]),
    )
    small = len(classes) <= _MOST_CLASSES
    return {
        "n": candidate["examples"],
        "accuracy": candidate["accuracy"],
        "interval": wilson(candidate["accuracy"], candidate["examples"]),
        "macro_f1": candidate["macro_f1"],
        "calibration_error": candidate["calibration_error"],
        "classes": classes,
        "per_class": list(candidate["per_class"].items()),
        "unmeasured": candidate["unmeasured"],
        "invalid": candidate["invalid"],
        "confusion": [
            (name, [(count, count / most) for count in row])
            for name, row, most in zip(classes, matrix, largest, strict=True)
        ]
        if small
        else [],
        "plot": None if small else plots.confusion(matrix),
        "pairs": pairs[:_MOST_CONFUSED],
        "model_size_mb": figures["model_size_mb"],
    }


def reliability(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`plot`, `error`, its `bias` and `interval` at `n` images, and `excess`: mean confidence minus accuracy."""
    candidate = _figures(outputs)["candidate"]
    bins = candidate["reliability"]
    excess = sum(b["count"] * (b["confidence"] - b["accuracy"]) for b in bins) / candidate["examples"]
    return {
        "plot": plots.reliability(bins),
        "error": candidate["calibration_error"],
        "bias": candidate["calibration_bias"],
        "interval": candidate["calibration_interval"],
        "n": candidate["examples"],
        "excess": excess,
    }


def mistakes(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`shown`: the most confident wrong predictions: picture, file, true and predicted class, probability."""
    kept = predictions.load(_uri(outputs, "predict", "predictions"))
    predicted, confidence = kept.predicted, kept.probabilities.max(axis=1)
    wrong = np.flatnonzero(~kept.correct & (predicted >= 0))
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MOST_MISTAKES].tolist()
    rows = pictures.rows_at(_uri(outputs, "ingest", "examples"), "test", {i: kept.sha256[i] for i in worst})
    shown = [(*rows[i], kept.labels[i], kept.classes[predicted[i]], float(confidence[i])) for i in worst]
    return {"shown": shown, "wrong": len(wrong), "n": len(kept.labels)}


def baseline(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """The served model's figures (`components.quality_gate.rivals`), `best` likewise, `candidate`, `n`, `tolerance`."""
    figures = _figures(outputs)
    served, best = figures["baseline"], figures.get("best")
    if served is None:
        raise Absent("Nothing was served before: there is no baseline.")
    return {
        **served,
        "best": best if best and best["version"] != served["version"] else None,
        "candidate": figures["candidate"]["accuracy"],
        "n": figures["candidate"]["examples"],
        "tolerance": config.gates.model_dump()["baseline_tolerance"],
    }


def negative_transfer(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`rows`: contestant, accuracy (min, median, max) over seeds, and its gap; `statement`."""
    if config.gates.negative_transfer is None:
        raise Absent("Not compared: gates.negative_transfer is not set.")
    compared = _json(outputs, "negative_transfer", "comparison", "comparison.json")
    rows = [
        (
            name.replace("_", " "),
            min(accuracies),
            float(np.median(accuracies)),
            max(accuracies),
            compared["gap"].get(name),
        )
        for name, accuracies in compared["accuracy"].items()
    ]
    return {
        "rows": rows,
        "statement": compared["statement"],
        "seeds": len(compared["seeds"]),
        "n": compared["test_images"],
        "epochs": compared["epochs"],
    }


def slices(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """`rows`: column, value, examples, accuracy, macro F1, whether it is gated."""
    if not config.data.slices:
        raise Absent("No slices: data.slices is empty.")
    rows = [
        (column, value, row["examples"], row["accuracy"], row["macro_f1"], _is_gated(config, column, row["examples"]))
        for column, by_value in _figures(outputs)["slices"].items()
        for value, row in by_value.items()
    ]
    return {"rows": rows}


def _is_gated(config: Config, column: str, examples: int) -> bool:
    floors = config.gates.slices.get(column)
    return floors is not None and examples >= floors.min_examples


def lineage(config: Config, result: RunResult, outputs: Outputs) -> Part:
    """See `pipeline.lineage.describe_run`."""
    if not outputs:
        raise Absent("Not reached: the run ended before its first stage did.")
    return describe_run(Metadata(config.run_root).work(result.run_id))


BUILDERS: tuple[Callable[[Config, RunResult, Outputs], Part], ...] = (
    config,
    data,
    rejected,
    anomalies,
    samples,
    curves,
    quality,
    reliability,
    mistakes,
    baseline,
    negative_transfer,
    slices,
    lineage,
)
"""A part goes by the name of its function."""


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n independent trials (Wilson, JASA 22, 1927).

    Args:
        share: observed, 0 to 1.
        n: number of trials, above 0.
    """
    z = 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
