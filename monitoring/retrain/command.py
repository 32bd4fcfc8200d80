"""`graft retrain`: looks once, or every so often, whether a retraining is due, and runs or submits it."""

import argparse
import dataclasses
import logging
from typing import Any

from graft.models.errors import GraftError
from graft.monitoring.ending import asked_to_end
from graft.monitoring.retrain import audit, plans, retraining, submitted
from graft.monitoring.retrain.audit import Event
from graft.monitoring.retrain.decision import Decision, paused
from graft.monitoring.retrain.local import Local
from graft.monitoring.retrain.plans import Plan
from graft.monitoring.retrain.submitted import Submitting
from graft.pipeline.output import answer, show_run, table

KUBEFLOW = "kubeflow"
"""The orchestrator of --kubeflow."""
EXIT_HELD = 1
"""Where a person asked for a retraining by --force, and it may not start."""

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status, see docs/monitoring.md."""
    if args.force and (args.pause is not None or args.resume or args.every is not None):
        raise GraftError("--force was given; it is allowed with CONFIG alone, --dry-run or --kubeflow")
    if args.kubeflow and (args.pause is not None or args.resume):
        raise GraftError("--kubeflow was given; --pause and --resume hold for runs there too; allowed: without it")
    if args.pause is not None and not args.pause.strip():
        raise GraftError(f"--pause: received {args.pause!r}; it must be a reason in words")
    plan = plans.read(args.config, args.set)
    if args.pause is not None or args.resume:
        return _pause(args, plan)
    if args.dry_run:
        return _tell(args, plan)
    if args.every is not None:
        return _serve(args)
    return _attempt(args, plan)


def _pause(args: argparse.Namespace, plan: Plan) -> int:
    """Needs no lock: it may be asked for while a retraining is under way, which it does not end."""
    name, held = plan.config.name, paused(audit.read(plan.folder))
    if args.resume and held is None:
        answer(args, {"status": "not_paused", "model": name}, f"{name}: retraining was not paused")
        return 0
    kind, reason = ("resumed", "") if args.resume else ("paused", args.pause.strip())
    audit.append(plan.folder, Event(time=audit.now(), kind=kind, model=name, reason=reason))
    answer(args, {"status": kind, "model": name, "reason": reason}, f"{name}: retraining {kind} {reason}".rstrip())
    return 0


def _tell(args: argparse.Namespace, plan: Plan) -> int:
    """Without the lock, and nothing is written."""
    engine = Submitting(plan, KUBEFLOW, recorded=False) if args.kubeflow else None
    events = audit.read(plan.folder)
    events += submitted.ends(plan, events, audit.now())
    made = retraining.look(plan, events, audit.now(), args.force, engine.under_way if engine else list)
    value = _value(plan, made, "would_start" if made.start else "held")
    lines = [f"{plan.config.name}: a retraining {'would start' if made.start else 'is held'}: {made.sentence}"]
    lines += _unknown(made)
    if engine is not None and made.start:
        name, parameters = submitted.run_name(plan, made, events), engine.prepared(made).parameters
        command = submitted.command(plan, made, name)
        value |= {"submission": {"name": name, "parameters": parameters}, "command": command}
        lines += [*table([("run", name), *parameters.items()]), command]
    answer(args, value, *lines)
    return 0


def _attempt(args: argparse.Namespace, plan: Plan, process: bool | None = None) -> int:
    if args.kubeflow:
        return _submit(args, plan)
    from graft.pipeline.ending import Ending
    from graft.pipeline.progress_view import ProgressView

    with Ending(args.json, args.process if process is None else process) as end:
        with ProgressView() as view:
            made, result = retraining.attempt(plan, Local(plan, view, end), args.force)
        if result is not None:
            return show_run(args, result, end, {"retrain": _value(plan, made, "started")})
        code = _held(args, plan, made)
        end.over(code)
        return code


def _submit(args: argparse.Namespace, plan: Plan) -> int:
    """Needs no `Ending`: whatever ends it, the next look asks what has become of the submission."""
    made, sent = retraining.attempt(plan, Submitting(plan, KUBEFLOW), args.force)
    if sent is None:
        return _held(args, plan, made)
    told = "submitted" if sent.created else "was there already; nothing was submitted"
    answer(
        args,
        _value(plan, made, "submitted") | {"submission": dataclasses.asdict(sent)},
        f"{plan.config.name}: {made.sentence}",
        *_unknown(made),
        f"run {sent.run} ({sent.name}) in experiment {sent.experiment} {told}",
        *table(list(sent.parameters.items())),
        sent.address,
    )
    return 0


def _held(args: argparse.Namespace, plan: Plan, made: Decision) -> int:
    answer(args, _value(plan, made, "held"), f"{plan.config.name}: no retraining: {made.sentence}", *_unknown(made))
    return EXIT_HELD if args.force else 0


def _serve(args: argparse.Namespace) -> int:
    """Looks until SIGTERM or SIGINT; a look that fails is logged, and the next tries again."""
    logging.getLogger("graft.monitoring").setLevel(logging.INFO)
    with asked_to_end() as ended:
        while True:
            try:
                code = _attempt(args, plans.read(args.config, args.set), process=False)
                if code > 128:  # a signal ended the run
                    return code
            except GraftError as error:
                logger.error("%s", error)
            except KeyboardInterrupt:  # a signal while it looked: no run had begun
                return 0
            if ended.wait(args.every):
                return 0


def _unknown(made: Decision) -> list[str]:
    """Labels that no model knows may be slips of the pen: a person should see them."""
    from graft.monitoring.request_log.labelled_rows import named_labels

    found = made.figures.get("unknown_labels")
    return [f"labels that are not known, and so are not learned from: {named_labels(found)}"] if found else []


def _value(plan: Plan, made: Decision, status: str) -> dict[str, Any]:
    return {"status": status, "model": plan.config.name, "audit": str(plan.folder / audit.NAME)} | made.to_json()
