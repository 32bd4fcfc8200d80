"""What made a run's model or a served version: data, code, backbone, config, metrics and each stage's execution.

The JSON files of artifacts are read plainly here: they may have been deleted since, and the reader of ingestion's
summary imports TensorFlow, which takes seconds.
"""

import json
import pathlib
from typing import Any

from graft.models.errors import GraftError
from graft.models.natural import natural_key
from graft.models.text import printable
from graft.pipeline.metadata import Execution, Metadata

_METRICS = ("accuracy", "macro_f1", "calibration_error", "examples")
_GATED = (("data_gate", "blessing"), ("quality_gate", "blessing"), ("serving_check", "blessing"))


def describe_lineage(metadata: Metadata, version: str, store_id: str | None = None) -> tuple[dict[str, Any], str]:
    """What made a pushed version.

    Args:
        metadata: of the pipeline.
        version: number in the model store.
        store_id: see `Metadata.lineage`.

    Returns:
        JSON types, and the same as text for a terminal. `version`, `run`, `pushed` (ISO 8601, UTC), `destination`,
        then as in `describe_run`, then `config`, `metrics`, `baseline` (version and accuracy of what was served
        before, None without one) and `gates`. `metrics` and `baseline` are None and `gates` are fewer where the
        artifacts that hold them were deleted since.

    Raises:
        GraftError: no push of that version is on record.
    """
    executions = metadata.lineage(version, store_id)
    push = executions[-1]
    figures = _read_json(executions, "quality_gate", "quality", "figures.json")
    value = {
        "version": version,
        "run": push.run_id,
        "pushed": push.started.isoformat(timespec="seconds"),
        "destination": push.outputs["pushed_model"].properties["pushed_destination"],
        **describe_run(executions),
        "config": push.parameters["metadata"]["config"],
        "metrics": {name: figures["candidate"][name] for name in _METRICS} if figures else None,
        "gates": [g for stage, name in _GATED for g in _read_json(executions, stage, name, "gates.json") or []],
        "baseline": {name: figures["baseline"][name] for name in ("version", "accuracy")}
        if figures and figures["baseline"]
        else None,
    }
    return value, _text(value)


def describe_run(executions: list[Execution]) -> dict[str, Any]:
    """What went into the executions of a run, as far as it came.

    Args:
        executions: from `Metadata.work`.

    Returns:
        JSON types: `data` (source, path, fingerprint, counts by split and class, images rejected), `code` (sha256 of
        the source), `backbone` (handle, identity), `stages` (stage, run that did the work, execution, started, seconds,
        artifacts: URI by output name). What was not reached is None.
    """
    by_stage = {execution.stage: execution for execution in executions}
    ingest, features = by_stage.get("ingest"), by_stage.get("features")
    data = code = backbone = None
    if ingest:
        options = ingest.parameters["data"]
        summary = _read_json(executions, "ingest", "rejected", "summary.json") or {}
        data = {
            "source": options["source"],
            "path": options["path"],
            "fingerprint": ingest.parameters["fingerprint"],
            "counts": summary.get("used"),
            "rejected": summary.get("rejected_count"),
        }
        code = ingest.parameters["code"]
    if features:
        backbone = {name: features.parameters["backbone"][name] for name in ("handle", "identity")}
    return {
        "data": data,
        "code": code,
        "backbone": backbone,
        "stages": [
            {
                "stage": execution.stage,
                "run": execution.run_id,
                "execution": execution.id,
                "started": execution.started.isoformat(timespec="seconds"),
                "seconds": execution.seconds,
                "artifacts": {name: artifact.uri for name, artifact in execution.outputs.items()},
            }
            for execution in executions
        ],
    }


def _read_json(executions: list[Execution], stage: str, output: str, file: str) -> Any:
    """A file of an artifact; None if the stage was not reached or the artifact was deleted since."""
    artifact = next((e.outputs[output] for e in executions if e.stage == stage and output in e.outputs), None)
    if artifact is None:
        return None
    path = pathlib.Path(artifact.uri, file)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise GraftError(f"{path}: cannot be read: {error}; artifacts must stay as the run wrote them") from None


def _text(value: dict[str, Any]) -> str:
    data, backbone, metrics, config = value["data"], value["backbone"], value["metrics"], value["config"]
    counts = data["counts"] or {}
    images = ", ".join(f"{split} {sum(classes.values())}" for split, classes in counts.items())
    classes = ", ".join(sorted({name for by_class in counts.values() for name in by_class}, key=natural_key))
    missing = "no longer on disk"
    baseline = "nothing was served before" if metrics else missing
    if value["baseline"]:
        baseline = f"version {value['baseline']['version']}, accuracy {value['baseline']['accuracy']:.4f}"
    rows = [
        ("model", f"{config['name']} version {value['version']}"),
        ("pushed", f"{_time(value['pushed'])} to {value['destination']}"),
        ("run", value["run"]),
        ("data", f"{data['source']} {data['path']}"),
        ("", f"fingerprint {data['fingerprint']}"),
        ("", f"{images}; {data['rejected']} rejected" if images else f"counts {missing}"),
        ("", f"classes: {classes or missing}"),
        ("code", value["code"]),
        ("backbone", backbone["handle"]),
        ("", f"identity {backbone['identity']}"),
        ("transfer", _inline(config["transfer"])),
        ("head", _inline(config["head"])),
        ("train", _inline(config["train"])),
        ("metrics", _inline(metrics) + " (test split)" if metrics else missing),
        ("baseline", baseline),
        *(("gates" if i == 0 else "", _gate(gate)) for i, gate in enumerate(value["gates"])),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name.ljust(width)}  {printable(text)}" for name, text in rows]
    stages = [
        (s["stage"], str(s["execution"]), _time(s["started"]), f"{s['seconds']:.1f}", s["run"]) for s in value["stages"]
    ]
    header = ("stage", "execution", "started", "seconds", "run")
    widths = [max(len(row[i]) for row in (header, *stages)) for i in range(len(header))]
    lines.append("")
    for row, stage in zip((header, *stages), (None, *value["stages"]), strict=True):
        lines.append("  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip())
        lines += [f"    {name}: {printable(uri)}" for name, uri in (stage["artifacts"].items() if stage else ())]
    return "\n".join(lines)


def _gate(gate: dict[str, Any]) -> str:
    value = "not measured" if gate["value"] is None else f"{gate['value']:.6g}"
    limit = "none" if gate["limit"] is None else f"{gate['limit']:.6g}"
    return f"{'open' if gate['passed'] else 'CLOSED'}  {gate['name']} {value}, limit {limit}"


def _inline(values: dict[str, Any]) -> str:
    return ", ".join(f"{k} {round(v, 4) if isinstance(v, float) else v}" for k, v in values.items())


def _time(iso: str) -> str:
    return iso.replace("T", " ").replace("+00:00", " UTC")


def describe_runs(pipeline: str, metadata: Metadata) -> list[dict[str, Any]]:
    """A row for each run of a pipeline, oldest first: how far it came, how long it took, what it pushed."""
    rows = []
    for run_id in metadata.runs():
        stages = metadata.executions(run_id)
        pushed = next((s.outputs["pushed_model"] for s in stages if s.stage == "push" and s.outputs), None)
        rows.append(
            {
                "pipeline": pipeline,
                "run": run_id,
                "status": _status(stages),
                "stages": len(stages),
                "cached": sum(s.state == "CACHED" for s in stages),
                "seconds": f"{sum(s.seconds for s in stages):.1f}",
                "version": pushed.properties["pushed_version"] if pushed else "",
            }
        )
    return rows


def _status(stages: list[Execution]) -> str:
    if not stages:
        return "began"
    last = stages[-1]
    if last.state not in ("COMPLETE", "CACHED"):
        return f"{last.stage} {last.state.lower()}"  # running: under way, or killed there
    blessing = last.outputs.get("blessing")
    if blessing is not None and blessing.properties.get("blessed") == 0:
        return f"gate closed at {last.stage}"
    return "passed" if last.stage == "push" else f"stopped after {last.stage}"
