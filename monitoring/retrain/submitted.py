"""A retraining that an orchestrator runs, such as Kubeflow: submitted once by its name, and asked about later.

The audit has its start before it is submitted, and the id of its run after. So whoever is killed in between, or loses
the answer, leaves a name, and the next look asks whether there is a run of it. While an orchestrator does not answer,
nothing is decided: what cannot be asked about may be under way.
"""

import contextlib
import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from graft.models.errors import GraftError
from graft.monitoring.retrain import audit
from graft.monitoring.retrain.audit import Event, unended
from graft.monitoring.retrain.decision import Decision
from graft.monitoring.retrain.plans import Plan
from graft.pipeline.orchestrators import RUNNING, Prepared, Submitted, opened

ARRIVES_S = 300.0
"""So long after a start whose answer was lost its run may still come: a server may be at work on it."""


class Submitting:
    """Submits it, and does not wait for its end.

    Args:
        plan: what is to be retrained.
        orchestrator: its name.
        recorded: whether it is on record where the orchestrator does not answer.

    Raises:
        GraftError: there is no such orchestrator, or the configuration does not say where it is.
    """

    def __init__(self, plan: Plan, orchestrator: str, recorded: bool = True):
        self._plan, self._name, self._recorded = plan, orchestrator, recorded
        self._orchestrator = opened(orchestrator, plan.config)

    def under_way(self) -> list[str]:
        """Other runs of the pipeline there: those of a schedule, or that a person submitted."""
        with _noted(self._plan, self._name) if self._recorded else contextlib.nullcontext():
            return self._orchestrator.under_way()

    def prepared(self, made: Decision) -> Prepared:
        """The run, as it would be submitted now. Raises GraftError."""
        found: Prepared = self._orchestrator.prepare(self._plan.retraining(made.learned_until))
        return found

    def start(self, made: Decision, events: Sequence[Event]) -> Submitted:
        """Submits it; all of it is on record.

        Raises:
            GraftError: it cannot run there, or the orchestrator does not answer. That is on record too, and the next
                look tries again: no run has begun.
        """
        plan = self._plan
        known: dict[str, Any] = {"model": plan.config.name, "run": run_name(plan, made, events), "span": made.span}
        known |= {"learned_until": made.learned_until, "orchestrator": self._name}
        with _noted(plan, self._name):
            prepared = self.prepared(made)
            begun = Event(time=audit.now(), kind="started", reason=made.sentence, figures=made.figures, **known)
            audit.append(plan.folder, begun)
            sent = self._orchestrator.submit(prepared, known["run"])
        figures = {"address": sent.address, "parameters": dict(sent.parameters), "created": sent.created}
        audit.append(plan.folder, Event(time=audit.now(), kind="submitted", id=sent.run, figures=figures, **known))
        return sent


def run_name(plan: Plan, made: Decision, events: Sequence[Event]) -> str:
    """Of the run: made of its span, so that the same labels are one run, however often they are submitted.

    Where one of that span has ended and another is due, since it failed or a person asks, that other has a number.
    """
    ends = [event for event in events if event.kind in ("finished", "killed") and event.orchestrator is not None]
    before = sum(event.span == made.span for event in ends)
    return f"{plan.config.name}-retrain-{made.span}" + (f"-{before + 1}" if before else "")


def command(plan: Plan, made: Decision, name: str) -> str:
    """What submits the same run by hand, for a shell."""
    data = json.dumps(plan.data(made.learned_until), separators=(",", ":"))
    return shlex.join(["graft", "kubeflow", "submit", plan.path, "--name", name, "--set", f"data={data}"])


def complete(plan: Plan, events: Sequence[Event], now: float) -> list[Event]:
    """Asks how the submitted runs ended of which no end is on record, writes the ends, and returns them.

    Raises:
        GraftError: an orchestrator does not answer; that is on record.
    """
    found = []
    for start in unended(events):
        if start.orchestrator is not None:
            with _noted(plan, start.orchestrator):
                found += ends(plan, [start, *_submissions(events, start)], now)
    for event in found:
        audit.append(plan.folder, event)
    return found


def ends(plan: Plan, events: Sequence[Event], now: float) -> list[Event]:
    """The ends of submitted runs that are not on record, as their orchestrators tell; changes nothing.

    Args:
        plan: what is retrained.
        events: of the audit.
        now: seconds since 1970.

    Raises:
        GraftError: an orchestrator does not answer.
    """
    found = []
    for start in unended(events):
        if start.orchestrator is None:
            continue
        run = next((event.id for event in _submissions(events, start)), None)
        state = opened(start.orchestrator, plan.config).state(str(start.run), run)
        known: dict[str, Any] = {"time": now, "model": start.model, "run": start.run, "span": start.span}
        known |= {"learned_until": start.learned_until, "orchestrator": start.orchestrator, "id": run}
        if state is None and run is None:
            if now - start.time >= ARRIVES_S:
                found.append(Event(kind="refused", reason="it was not submitted", **known))
        elif state is None:
            gone = f"{start.orchestrator} does not have it any more"
            found.append(Event(kind="killed", reason=gone, ended=start.time, **known))
        elif state.status != RUNNING:
            known |= {"id": state.run, "status": state.status, "ended": state.ended or now}
            known |= {"version": _version(plan, state.run), "reason": state.reason}
            found.append(Event(kind="finished", **known))
    return found


def _submissions(events: Sequence[Event], start: Event) -> list[Event]:
    after = events[list(events).index(start) :]
    return [event for event in after if event.kind == "submitted" and event.run == start.run]


def _version(plan: Plan, run: str) -> int | None:
    """The version that a run pushed; None if it is not in the store."""
    from graft.serving.store import open_store

    store, model = open_store(plan.config.store), plan.config.name
    for version in reversed(store.versions(model) if model in store.models() else []):
        metadata = store.manifest(model, version).get("metadata")
        if isinstance(metadata, dict) and metadata.get("run_id") == run:
            return version
    return None


@contextlib.contextmanager
def _noted(plan: Plan, orchestrator: str) -> Iterator[None]:
    """Puts on record what fails in it; the same fault again and again once."""
    try:
        yield
    except GraftError as error:
        known = {"kind": "error", "model": plan.config.name, "reason": str(error), "orchestrator": orchestrator}
        event = Event(time=audit.now(), **known)
        last = audit.read(plan.folder)[-1:]
        if not last or last[0].model_copy(update={"time": event.time}) != event:
            audit.append(plan.folder, event)
        raise
