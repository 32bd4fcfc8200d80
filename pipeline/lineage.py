"""What made a run's model or a served version: what each stage says of it, and each stage's execution.

The JSON files of artifacts are read plainly: they may have been deleted since, and to read them as a run does needs
TensorFlow, which takes seconds.
"""

import bisect
import pathlib
from typing import Any

from graft.components.gates import BLESSED
from graft.models.gates import Gate
from graft.models.text import printable
from graft.pipeline import holder, result_file, stages
from graft.pipeline.metadata import Execution, Metadata
from graft.pipeline.output import table
from graft.pipeline.stages import base


def describe_lineage(metadata: Metadata, version: str, store_id: str | None = None) -> tuple[dict[str, Any], str]:
    """What made a pushed version.

    Args:
        metadata: of the pipeline.
        version: number in the model store.
        store_id: see `Metadata.lineage`.

    Returns:
        JSON types, and the same as text for a terminal. `version`, `run`, `pushed` (ISO 8601, UTC), `destination`,
        then as in `describe_run`, then `config`, what the stages measured (`Stage.judged`: `metrics`, `baseline`) and
        `gates`. What stood in artifacts that were deleted since is None, and `gates` are fewer.

    Raises:
        GraftError: no push of that version is on record.
    """
    executions = metadata.lineage(version, store_id)
    by_stage = {execution.stage: execution for execution in executions}
    push = executions[-1]
    value = {
        "version": int(version),
        "run": push.run_id,
        "pushed": push.started.isoformat(timespec="seconds"),
        "destination": push.outputs["pushed_model"].properties["pushed_destination"],
        **describe_run(executions),
        "config": push.parameters["metadata"]["config"],
    }
    for stage in stages.STAGES:
        value |= stage.judged(by_stage.get(stage.name))
    value["gates"] = [
        gate
        for stage in stages.STAGES
        if stage.gate
        for gate in base.read_kept(by_stage.get(stage.name), stage.gate, "gates.json") or []
    ]
    return value, _text(value)


def describe_run(executions: list[Execution]) -> dict[str, Any]:
    """What went into the executions of a run, as far as it came.

    Args:
        executions: from `Metadata.work`.

    Returns:
        JSON types: what each stage's room describes (`data`, `code`, `backbone`), None where it was not reached, and
        `stages` (stage, run that did the work, execution, started, seconds, artifacts: URI by output name).
    """
    by_stage = {execution.stage: execution for execution in executions}
    value: dict[str, Any] = {}
    for stage in stages.STAGES:
        value |= stage.describe(by_stage.get(stage.name))
    value["stages"] = [
        {
            "stage": execution.stage,
            "run": execution.run_id,
            "execution": execution.id,
            "started": execution.started.isoformat(timespec="seconds"),
            "seconds": execution.seconds,
            "artifacts": {name: artifact.uri for name, artifact in execution.outputs.items()},
        }
        for execution in executions
    ]
    return value


def lineage_rows(value: dict[str, Any]) -> list[base.Row]:
    """What the stages say, for people.

    Args:
        value: as of `describe_run` or `describe_lineage`.
    """
    return [row for stage in stages.STAGES for row in stage.rows(value)]


def _text(value: dict[str, Any]) -> str:
    rows = [
        ("model", f"{value['config']['name']} version {value['version']}"),
        ("pushed", f"{_time(value['pushed'])} to {value['destination']}"),
        ("run", value["run"]),
        *lineage_rows(value),
        *(("gates" if i == 0 else "", Gate(**gate).line) for i, gate in enumerate(value["gates"])),
    ]
    header = ("stage", "execution", "started", "seconds", "run")
    work = [(s["stage"], s["execution"], _time(s["started"]), f"{s['seconds']:.1f}", s["run"]) for s in value["stages"]]
    shown = table(work, header)
    fits = len(shown) == len(work) + 1
    lines = [*table(rows), "", *(shown[:1] if fits else ())]
    for place, stage in enumerate(value["stages"]):
        lines += [shown[place + 1]] if fits else table([work[place]], header)
        lines += [f"    {name}: {printable(uri)}" for name, uri in stage["artifacts"].items()]
    return "\n".join(lines)


def _time(iso: str) -> str:
    return iso.replace("T", " ").replace("+00:00", " UTC")


def describe_runs(root: pathlib.Path, metadata: Metadata | None) -> list[dict[str, Any]]:
    """A row for each run of a pipeline, oldest first: how far it came, how long it took, what it pushed and measured.

    Args:
        root: folder of the pipeline.
        metadata: its store; None where no run came to its first stage.
    """
    rows = []
    held = holder.read(root)
    known = metadata.runs() if metadata is not None else []
    # Those that ended before their first stage have left a folder only. Names are times as a rule.
    folders = {path.name for path in (root / "runs").iterdir()} if (root / "runs").is_dir() else set()
    ordered = list(known)
    for run_id in sorted(folders.difference(known)):
        bisect.insort(ordered, run_id)
    for run_id in ordered:
        work = metadata.executions(run_id) if metadata is not None and run_id in known else []
        told = result_file.read(root / "runs" / run_id)
        pushed = next((s.outputs["pushed_model"] for s in work if "pushed_model" in s.outputs), None)
        rows.append(
            {
                "pipeline": root.name,
                "run": run_id,
                "status": _status(work, run_id, held, told),
                "stages": len(work),
                "cached": sum(s.state == "CACHED" for s in work),
                "seconds": round(sum(s.seconds for s in work), 1),
                "version": int(pushed.properties["pushed_version"]) if pushed else None,
                "metrics": result_file.numbers(told.get("metrics")),
            }
        )
    return rows


def _status(work: list[Execution], run_id: str, held: holder.Holder | None, told: dict[str, Any]) -> str:
    last = work[-1] if work else None
    at = f"{last.stage} " if last is not None else ""
    written = str(told.get("status", ""))
    if written == "interrupted" or (last is None and written):
        return f"{at}{written}"
    if last is not None and last.state == "FAILED":
        return f"{last.stage} failed"
    if last is None or last.state == "RUNNING":  # under way, or killed there
        if held is None or held.run != run_id:
            return f"{at}died"
        if held.elsewhere:
            return f"{at}on {held.host}: cannot be seen from here"
        return f"{at}{'running' if held.lives else 'died'}"
    room = stages.find(last.stage)
    verdict = last.outputs.get(room.gate) if room is not None and room.gate else None
    if verdict is not None and verdict.properties.get(BLESSED) == 0:
        return f"gate closed at {last.stage}"
    return "passed" if last.stage == stages.STAGES[-1].name else f"stopped after {last.stage}"
