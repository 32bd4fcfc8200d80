"""Looks whether a retraining is due, and runs it: the pipeline of `graft run`, on other data, with the same gates."""

import dataclasses
import json
import pathlib
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.monitoring.drift import results
from graft.monitoring.options import MonitoringOptions
from graft.monitoring.request_log import label_spans
from graft.monitoring.request_log.source import NAME as SOURCE
from graft.monitoring.request_log.source import rows_of
from graft.monitoring.retrain import audit
from graft.monitoring.retrain.audit import Event
from graft.monitoring.retrain.decision import Decision, decide
from graft.monitoring.retrain.options import RetrainOptions
from graft.pipeline import config as configs
from graft.pipeline.config import Config
from graft.pipeline.running import Busy
from graft.pipeline.sections import section

if TYPE_CHECKING:
    from graft.pipeline.ending import Ending
    from graft.pipeline.progress_view import ProgressView
    from graft.pipeline.result import RunResult

_OF_ALL_DATA = ("split", "target", "max_rejected", "schema", "slices", "group", "domain", "weight")
"""Keys of `data` that the log takes over from the data that the model was made from."""
_NOT_OF_BASE = ("target", "max_rejected", "schema")

Json = dict[str, Any]
now = time.time


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a configuration says of retraining.

    Attributes:
        path: the file.
        config: as `graft run` reads it.
        options: section `monitoring.retrain`.
        log: folder of the request log.
        windows: folder of the monitor's results.
    """

    path: str
    config: Config
    options: RetrainOptions
    log: pathlib.Path
    windows: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        """Of audit and lock."""
        return self.config.run_root / audit.FOLDER

    def data(self, labelled_until: float | None = None) -> Json:
        """Section `data` of a retraining.

        Args:
            labelled_until: labels that came later are not learned from; None: all.
        """
        given = self.config.data.model_dump(mode="json", by_alias=True)
        if given["source"] == SOURCE:
            found = dict(given)
        else:
            found = {key: given[key] for key in _OF_ALL_DATA if key in given}
            if self.options.base:
                found["base"] = {key: value for key, value in given.items() if key not in _NOT_OF_BASE}
        found |= {"source": SOURCE, "path": str(self.log), "model": self.config.name}
        if self.options.most_labels is not None:
            found["most"] = self.options.most_labels
        if labelled_until is not None:
            found["labelled_until"] = label_spans.as_time(labelled_until)
        return found

    def retraining(self, labelled_until: float | None = None) -> Config:
        """The configuration of a retraining. Raises GraftError: the data of the log does not go with the rest."""
        whole = self.config.model_dump(mode="json", by_alias=True)
        return configs.parse(whole | {"data": self.data(labelled_until)}, self.path)


def plan(path: str, overrides: Sequence[str] = ()) -> Plan:
    """Reads a configuration. Raises GraftError: it is not sound, or names no log."""
    config = configs.load(path, list(overrides))
    wanted = section(config, "monitoring", MonitoringOptions)
    log = wanted.retrain.folder or wanted.request_log.folder
    if log is None:
        raise GraftError(
            f"{path}: monitoring.retrain.folder and monitoring.request_log.folder are null; give the folder of the log"
        )
    windows = pathlib.Path(wanted.drift.folder) if wanted.drift.folder else config.run_root / "drift"
    return Plan(path, config, wanted.retrain, pathlib.Path(log), windows)


def look(plan: Plan, events: Sequence[Event], time: float, force: bool = False) -> Decision:
    """Decides by what there is now; changes nothing.

    Args:
        plan: what is to be retrained.
        events: of the audit.
        time: of now, seconds since 1970.
        force: whether a person asks for it.

    Raises:
        GraftError: log, labels, results or store cannot be read.
    """
    # Imported here: `graft retrain --help` does without a store.
    from graft.serving.store import open_store

    store, model = open_store(plan.config.store), plan.config.name
    served = store.served(model) if model in store.models() else None
    found = rows_of(plan.retraining().request())
    arrived = [row.arrived for row in found.rows]
    made = decide(plan.options, list(results.read(plan.windows)), served, arrived, events, time, force)
    return dataclasses.replace(made, figures=made.figures | {"left_out": dict(found.left_out)})


def attempt(
    plan: Plan, view: "ProgressView", end: "Ending", force: bool = False
) -> "tuple[Decision, RunResult | None]":
    """Decides, and runs what is due; all of it under the lock and on record.

    Args:
        plan: what is to be retrained.
        view: shows progress.
        end: of the command.
        force: whether a person asks for it.

    Returns:
        The decision, and how the run went; None where none was started.

    Raises:
        Busy: a retraining, or another run of the pipeline, is under way.
        GraftError: something cannot be read, or the run could not begin; the latter is on record as failed.
    """
    with audit.one_at_a_time(plan.folder):
        events = audit.read(plan.folder)
        events += audit.complete(plan.folder, plan.config.run_root, events, now())
        made = look(plan, events, now(), force)
        if not made.start:
            _note_held(plan, made, events)
            return made, None
        return made, _run(plan, made, view, end)


def _run(plan: Plan, made: Decision, view: "ProgressView", end: "Ending") -> "RunResult":
    from graft.pipeline import run

    config = plan.retraining(made.learned_until)
    known = {"model": config.name, "run": run.new_run_id(), "span": made.span, "learned_until": made.learned_until}
    audit.append(plan.folder, Event(time=now(), kind="started", reason=made.sentence, figures=made.figures, **known))
    try:
        result = run.run(config, view, run_id=str(known["run"]), end=end)
    except Busy as error:
        audit.append(plan.folder, Event(time=now(), kind="refused", reason=str(error), **known))
        raise
    except GraftError as error:
        ended = now()
        failed = {"status": "failed", "ended": ended, "reason": str(error)}
        audit.append(plan.folder, Event(time=ended, kind="finished", **failed, **known))
        raise
    ended = result.ended or now()
    told = {"status": result.status, "reason": result.reason, "version": result.model_version, "ended": ended}
    audit.append(plan.folder, Event(time=now(), kind="finished", figures={"report": result.report}, **told, **known))
    return result


def _note_held(plan: Plan, made: Decision, events: Sequence[Event]) -> None:
    """What was asked for and did not start; the same thing once, however often it is asked for."""
    kinds = [event for event in events if event.kind != "resumed"]
    key = {"triggers": list(made.triggers), "span": made.span}
    if not made.triggers or (kinds and kinds[-1].kind == "held" and _key(kinds[-1]) == key):
        return
    figures = made.figures | {"triggers": list(made.triggers)}
    event = Event(
        time=now(), kind="held", model=plan.config.name, reason=made.sentence, span=made.span, figures=figures
    )
    audit.append(plan.folder, event)


def _key(event: Event) -> Json:
    return {"triggers": event.figures.get("triggers"), "span": event.span}


def kubeflow_command(plan: Plan, made: Decision) -> str:
    """What submits the retraining to Kubeflow, for a shell; submitted twice, it is one run, named by its span."""
    data = json.dumps(plan.data(made.learned_until), separators=(",", ":"))
    name = f"{plan.config.name}-retrain-{made.span}"
    return shlex.join(["graft", "kubeflow", "submit", plan.path, "--name", name, "--set", f"data={data}"])
