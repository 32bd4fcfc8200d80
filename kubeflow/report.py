"""The last task but one of a compiled pipeline: the report of the run, its model card, metrics and lineage.

    python -m graft.kubeflow.report EXECUTOR_INPUT

The same pages as `graft run` writes, from the artifacts that the stages show (`Stage.shown`), which the launcher has
brought. Kubeflow's own page shows the report, the card and the metrics.
"""

import datetime
import json
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from graft.components import gates
from graft.kubeflow import handover, parameters, pod
from graft.kubeflow.last_tasks import BETWEEN, GIVEN, REPORT
from graft.models.errors import GraftError
from graft.models.text import say
from graft.pipeline import config as configs
from graft.pipeline import result_file, stages, trackers
from graft.pipeline.config import Config
from graft.pipeline.lineage import describe_run
from graft.pipeline.metadata import Artifact, Execution, parsed
from graft.pipeline.report import CARD_FILE, write_report
from graft.pipeline.result import RunResult
from graft.pipeline.running import StageRun
from graft.pipeline.stages.base import Ran, warned

Json = dict[str, Any]

NO_CARD = "There is no model card: what the training left cannot be read. The report says why.\n"
"""In its place: a task without one of its outputs fails."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the report; returns the exit code."""
    (given,) = sys.argv[1:] if arguments is None else arguments
    return pod.run(lambda: work(json.loads(given)), REPORT)


def work(given: Json) -> None:
    """Writes the outputs `report` (HTML), `card` (Markdown), `metrics`, `run` (`run.json`) and `lineage` (JSON).

    Args:
        given: the `ExecutorInput`.

    Raises:
        GraftError: the report could not be written.
    """
    inputs = given["inputs"]
    values = inputs["parameterValues"]
    config = configs.parse(json.loads(values["config"]), "configuration of the compiled pipeline")
    prefix = parameters.PREFIX
    run = parameters.checked({n.removeprefix(prefix): value for n, value in values.items() if n.startswith(prefix)})
    outputs = brought(inputs["artifacts"])
    result = told(config, outputs, run[parameters.RUN], _addresses(inputs["artifacts"]))
    executions = worked(config, outputs, given_to(values, run), result)
    places = {name: handover.local(held["artifacts"][0])["uri"] for name, held in given["outputs"]["artifacts"].items()}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        page = write_report(config, result, outputs, folder, work=executions)
        if page is None:
            raise GraftError("report: could not be written; the lines above say why")
        shutil.copyfile(page, _place(places["report"]))
        card = folder / CARD_FILE
        _place(places["card"]).write_text(card.read_text(encoding="utf-8") if card.exists() else NO_CARD, "utf-8")
        result_file.save(result.to_json() | {"config": config.of_the_run()}, folder)
        run_told = trackers.Followed(config, result, folder, None, outputs, lambda: executions)
        trackers.follow(run_told, (result_file.FILE_NAME, result_file.REPORT_FILE, CARD_FILE))
    for warning in result.warnings:
        if warning.code == trackers.WARNING:
            say(warning.line, file=sys.stderr)
    _place(places["run"]).write_text(json.dumps(result.to_json(), indent=1), encoding="utf-8")
    _place(places["lineage"]).write_text(json.dumps(describe_run(executions), indent=1), encoding="utf-8")
    _place(places["metrics"]).touch()
    # Of JSON, which knows no NaN.
    metrics = {n: value for n, value in result.metrics.items() if isinstance(value, (int, float)) and isfinite(value)}
    metrics |= {f"gate {gate.name}": int(gate.passed) for gate in result.gates}
    said: Mapping[str, Json] = {"metrics": metrics, "run": {"status": result.status}}
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = {
        name: [(place, said.get(name, {}))] for name, place in places.items() if name != handover.LOGS
    }
    pod.write_output(given["outputs"]["outputFile"], handover.told(found))


def given_to(values: Mapping[str, Any], run: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Parameters by stage and name.

    Args:
        values: parameters of the task.
        run: of the run, in place of their marks.

    Raises:
        GraftError: an earlier Graft compiled the file, and did not say.
    """
    if GIVEN not in values:
        raise GraftError("report: an earlier Graft compiled the pipeline; compile and upload it again")
    return json.loads(parameters.filled(values[GIVEN], run))


def brought(artifacts: Mapping[str, Json]) -> dict[str, dict[str, Artifact]]:
    """Artifacts by stage and output name. Raises GraftError if one is not what its task wrote."""
    found: dict[str, dict[str, Artifact]] = {}
    for key, held in artifacts.items():
        stage, _, output = key.partition(BETWEEN)
        here = handover.local(held["artifacts"][0])
        handover.check_whole(key, here)
        properties = {name: parsed(value) for name, value in here["metadata"].items()}
        found.setdefault(stage, {})[output] = Artifact("", here["uri"], properties)
    return found


def told(
    config: Config, outputs: Mapping[str, Mapping[str, Artifact]], run_id: str, addresses: Mapping[str, str]
) -> RunResult:
    """How the run went, from what the stages left.

    Args:
        config: of the pipeline.
        outputs: as of `brought`.
        run_id: of the run.
        addresses: of the stages' outputs in the store: those of another run were taken from the cache.
    """
    result = RunResult(run_id, status="passed")
    for room in stages.enabled(config):
        found = outputs.get(room.name, {})
        times = [artifact.properties.get(handover.SECONDS, 0.0) for artifact in found.values()]
        cached = room.name in addresses and run_id not in addresses[room.name]
        stage = StageRun(room.name, max(times, default=0.0), cached, status="done")
        result.stages.append(stage)
        if any(handover.CLOSED in artifact.properties for artifact in found.values()):
            stage.status, stage.result = "closed", "not done: a gate is closed"
            continue
        if not found:
            continue
        stage.result = room.line(result, found)
        result.warnings.extend(warned(room, Ran(config, result, outputs)))
        checked = room.gates(found)
        result.gates.extend(checked)
        if not all(gate.passed for gate in checked) and result.status == "passed":
            stage.status = "closed"
            result.status, result.reason = "gate_closed", str(gates.GateClosed(room.name, checked))
    result.tensorboard = None  # the pod's folder is gone when it is read
    return result


def worked(
    config: Config,
    outputs: Mapping[str, Mapping[str, Artifact]],
    given: Mapping[str, Mapping[str, Any]],
    result: RunResult,
) -> list[Execution]:
    """The executions behind the stages, as a metadata store would have them; numbered in the order of the stages.

    Args:
        config: of the pipeline.
        outputs: as of `brought`.
        given: parameters by stage and name.
        result: as of `told`.
    """
    found = []
    for number, room in enumerate(stages.enabled(config), start=1):
        held = dict(outputs.get(room.name, {}))
        began = [
            artifact.properties[handover.BEGAN] for artifact in held.values() if handover.BEGAN in artifact.properties
        ]
        stage = next(stage for stage in result.stages if stage.name == room.name)
        found.append(
            Execution(
                id=number,
                run_id=result.run_id,
                stage=room.name,
                state="CACHED" if stage.cached else "COMPLETE",
                started=datetime.datetime.fromisoformat(min(began)) if began else datetime.datetime.now(datetime.UTC),
                seconds=stage.seconds,
                parameters={name: parsed(value) for name, value in given[room.name].items()},
                outputs=held,
            )
        )
    return found


def _addresses(artifacts: Mapping[str, Json]) -> dict[str, str]:
    return {key.partition(BETWEEN)[0]: held["artifacts"][0]["uri"] for key, held in artifacts.items()}


def _place(path: str) -> pathlib.Path:
    """A file to write; its folder is made."""
    place = pathlib.Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


if __name__ == "__main__":
    sys.exit(main())
