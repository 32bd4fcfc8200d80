"""Looks whether a retraining is due, and has it carried out: the pipeline on other data, with the same gates."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from graft.monitoring.drift import results
from graft.monitoring.request_log.source import rows_of
from graft.monitoring.retrain import audit, submitted
from graft.monitoring.retrain.audit import Event
from graft.monitoring.retrain.decision import Decision, decide
from graft.monitoring.retrain.plans import Json, Plan

if TYPE_CHECKING:
    from graft.monitoring.request_log.labelled_rows import Found

_NAMED = 20
"""Unknown labels that are on record, the most frequent."""

Outcome = TypeVar("Outcome", covariant=True)


class Engine(Protocol[Outcome]):
    """Who carries out a retraining: `local.Local` in this process, `submitted.Submitting` by an orchestrator."""

    def under_way(self) -> list[str]:
        """Runs beside those on record that forbid one, in words. Raises GraftError: that cannot be told."""

    def start(self, made: Decision, events: Sequence[Event]) -> Outcome:
        """Starts it, on record.

        Args:
            made: the decision.
            events: of the audit.

        Raises:
            GraftError: it could not begin.
        """


def look(
    plan: Plan, events: Sequence[Event], time: float, force: bool = False, under_way: Callable[[], list[str]] = list
) -> Decision:
    """Decides by what there is now; changes nothing.

    Args:
        plan: what is to be retrained.
        events: of the audit.
        time: of now, seconds since 1970.
        force: whether a person asks for it.
        under_way: of the engine; it is asked where nothing else forbids a start.

    Raises:
        GraftError: log, labels, results or store cannot be read, or `under_way` raises it.
    """
    # Imported here: `graft retrain --help` does without a store.
    from graft.serving.store import open_store

    store, model = open_store(plan.config.store), plan.config.name
    served = store.served(model) if model in store.models() else None
    found = rows_of(plan.retraining().request())
    arrived = [row.arrived for row in found.rows]
    made = decide(plan.options, list(results.read(plan.windows)), served, arrived, events, time, force)
    made = dataclasses.replace(made, figures=made.figures | _left_out(found))
    others = under_way() if made.start else []
    return dataclasses.replace(made, start=False, against=tuple(others)) if others else made


def attempt(plan: Plan, engine: Engine[Outcome], force: bool = False) -> tuple[Decision, Outcome | None]:
    """Decides, and has done what is due; all of it under the lock and on record.

    Args:
        plan: what is to be retrained.
        engine: who carries it out.
        force: whether a person asks for it.

    Returns:
        The decision, and what became of it; None where nothing was started.

    Raises:
        Busy: a retraining, or another run of the pipeline, is under way.
        GraftError: something cannot be read or asked, or the run could not begin.
    """
    with audit.one_at_a_time(plan.folder):
        events = audit.read(plan.folder)
        events += audit.complete(plan.folder, plan.config.run_root, events, audit.now())
        events += submitted.complete(plan, events, audit.now())
        made = look(plan, events, audit.now(), force, engine.under_way)
        if not made.start:
            _note_held(plan, made, events)
            return made, None
        return made, engine.start(made, events)


def _left_out(found: "Found") -> Json:
    named = {"unknown_labels": dict(itertools.islice(found.unknown.items(), _NAMED))} if found.unknown else {}
    return {"left_out": dict(found.left_out), **named}


def _note_held(plan: Plan, made: Decision, events: Sequence[Event]) -> None:
    """What was asked for and did not start; the same thing once, however often it is asked for."""
    kinds = [event for event in events if event.kind != "resumed"]
    key = {"triggers": list(made.triggers), "span": made.span}
    if not made.triggers or (kinds and kinds[-1].kind == "held" and _key(kinds[-1]) == key):
        return
    figures = made.figures | {"triggers": list(made.triggers)}
    event = Event(
        time=audit.now(), kind="held", model=plan.config.name, reason=made.sentence, span=made.span, figures=figures
    )
    audit.append(plan.folder, event)


def _key(event: Event) -> Json:
    return {"triggers": event.figures.get("triggers"), "span": event.span}
