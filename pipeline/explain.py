"""`graft explain`: what transferred in a run, what did not, whether it helps, and how sure that is, in plain words.

All of it is read from what the run has left; nothing is computed anew. What each stage says stands in its room.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.errors import GraftError
from graft.models.gates import Gate
from graft.models.text import printable
from graft.pipeline import result_file, stages
from graft.pipeline.lineage import describe_runs
from graft.pipeline.metadata import Metadata
from graft.pipeline.stages import base
from graft.pipeline.stages.negative_transfer import verdict

_LISTED = 5


def find_run(pipelines: Sequence[pathlib.Path], run_id: str | None) -> tuple[pathlib.Path, str]:
    """The pipeline's folder and the id of a run.

    Args:
        pipelines: folders to look in, `runs/NAME`.
        run_id: of the run; None: the latest.

    Raises:
        GraftError: there is no such run, or it is in several pipelines.
    """
    runs = {folder: Metadata(folder).runs() for folder in pipelines}
    found = [(folder, known) for folder, ids in runs.items() for known in (ids[-1:] if run_id is None else ids)]
    # Ids are times: the latest of all sorts last.
    found = sorted(found, key=lambda run: run[1])[-1:] if run_id is None else [run for run in found if run[1] == run_id]
    if len(found) > 1:
        names = ", ".join(folder.name for folder, _ in found)
        raise GraftError(f"run {run_id!r} is one of each of several pipelines ({names}); choose one with --name")
    if not found:
        known = "; ".join(f"{folder.name}: {', '.join(ids[-_LISTED:])}" for folder, ids in runs.items() if ids)
        asked = "no run" if run_id is None else f"no run {run_id!r}"
        raise GraftError(f"{asked}; the latest runs are {known or 'none'} (`graft runs` lists all)")
    return found[0]


def explain_run(root: pathlib.Path, run_id: str) -> tuple[dict[str, Any], str]:
    """What is to be said of a run.

    Args:
        root: folder of its pipeline.
        run_id: of the run.

    Returns:
        JSON types, and the same as text. `pipeline`, `run`, `status`, `reason`; `verdict`: `helps`, `hurts`, `not
        shown` or `not measured`; `answers`: sentences by question (`stages.base.QUESTIONS`); `findings` of the
        method; `gap` by reference, with mean and interval, None where it was not measured; `gates`.

    Raises:
        GraftError: no such run, or an artifact of it cannot be read.
    """
    metadata = Metadata(root)
    executions = {execution.stage: execution for execution in metadata.work(run_id)}
    result = _result(root, metadata, run_id)
    answers: dict[str, list[str]] = {question: [] for question in base.QUESTIONS}
    for stage in stages.STAGES:
        for question, sentence in stage.explain(executions.get(stage.name)):
            answers[question].append(sentence)
    gates = [Gate(**gate) for gate in result["gates"]]
    answers[base.FATE] += _fate(result, gates)
    compared = base.read_kept(executions.get("negative_transfer"), "comparison", "comparison.json")
    history = base.read_kept(executions.get("train"), "model_run", "history.json") or {}
    value = {
        "pipeline": root.name,
        "run": run_id,
        "status": result["status"],
        "reason": result["reason"],
        "verdict": verdict(compared) if compared else "not measured",
        "answers": answers,
        "findings": history.get("findings", []),
        "gap": compared["gap"] if compared else None,
        "gates": result["gates"],
    }
    return value, _text(value)


def _result(root: pathlib.Path, metadata: Metadata, run_id: str) -> dict[str, Any]:
    """Of `run.json`; of the metadata alone where the run was killed before it wrote one, or where it is damaged."""
    try:
        stored = json.loads((root / "runs" / run_id / result_file.FILE_NAME).read_text(encoding="utf-8"))
        return {key: stored[key] for key in ("status", "reason", "gates", "model_version")}
    except (OSError, ValueError, KeyError, TypeError):
        rows = {row["run"]: row for row in describe_runs(root, metadata)}
        row = rows[run_id]
        version = row["version"]
        return {"status": row["status"], "reason": "", "gates": [], "model_version": version}


def _fate(result: Mapping[str, Any], gates: Sequence[Gate]) -> list[str]:
    """Gates and push, in sentences."""
    told = []
    closed = [gate for gate in gates if not gate.passed]
    if gates:
        told.append(
            f"{len(gates) - len(closed)} of {len(gates)} gates were open."
            + "".join(f" Closed: {gate}." for gate in closed)
        )
    if result["model_version"] is not None:
        told.append(f"The model was pushed as version {result['model_version']}.")
    else:
        reason = f": {result['reason']}" if result["reason"] and not closed else ""
        told.append(f"The model was not pushed; the run's status is `{result['status']}`{reason}.")
    return told


def _text(value: Mapping[str, Any]) -> str:
    lines = [f"Run {value['run']} of {value['pipeline']}: {value['status'].replace('_', ' ')}"]
    for question, sentences in value["answers"].items():
        if sentences:
            lines += ["", f"{question}:", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(printable(line) for line in lines)
