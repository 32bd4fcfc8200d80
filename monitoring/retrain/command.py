"""`graft retrain`: looks once, or every so often, whether a retraining is due, and runs it."""

import argparse
import logging
from typing import Any

from graft.models.errors import GraftError
from graft.monitoring.ending import asked_to_end
from graft.monitoring.retrain import audit, retraining
from graft.monitoring.retrain.audit import Event
from graft.monitoring.retrain.decision import Decision, paused
from graft.monitoring.retrain.retraining import Plan
from graft.pipeline.output import answer, show_run

EXIT_HELD = 1
"""Where a person asked for a retraining by --force, and it may not start."""

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status, see docs/monitoring.md."""
    if args.force and (args.pause is not None or args.resume or args.every is not None):
        raise GraftError("--force was given; it is allowed with CONFIG alone, --dry-run or --kubeflow")
    if args.pause is not None and not args.pause.strip():
        raise GraftError(f"--pause: received {args.pause!r}; it must be a reason in words")
    plan = retraining.plan(args.config, args.set)
    if args.pause is not None or args.resume:
        return _pause(args, plan)
    if args.dry_run or args.kubeflow:
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
    audit.append(plan.folder, Event(time=retraining.now(), kind=kind, model=name, reason=reason))
    answer(args, {"status": kind, "model": name, "reason": reason}, f"{name}: retraining {kind} {reason}".rstrip())
    return 0


def _tell(args: argparse.Namespace, plan: Plan) -> int:
    made = retraining.look(plan, audit.read(plan.folder), retraining.now(), args.force)
    value = _value(plan, made, "would_start" if made.start else "held")
    lines = [f"{plan.config.name}: a retraining {'would start' if made.start else 'is held'}: {made.sentence}"]
    if args.kubeflow:
        command = retraining.kubeflow_command(plan, made) if made.start else None
        value["command"] = command
        lines += [command] if command else []
    answer(args, value, *lines)
    return 0


def _attempt(args: argparse.Namespace, plan: Plan, process: bool | None = None) -> int:
    from graft.pipeline.ending import Ending
    from graft.pipeline.progress_view import ProgressView

    with Ending(args.json, args.process if process is None else process) as end:
        with ProgressView() as view:
            made, result = retraining.attempt(plan, view, end, args.force)
        if result is not None:
            return show_run(args, result, end, {"retrain": _value(plan, made, "started")})
        code = EXIT_HELD if args.force else 0
        answer(args, _value(plan, made, "held"), f"{plan.config.name}: no retraining: {made.sentence}")
        end.over(code)
        return code


def _serve(args: argparse.Namespace) -> int:
    """Looks until SIGTERM or SIGINT; a look that fails is logged, and the next tries again."""
    logging.getLogger("graft.monitoring").setLevel(logging.INFO)
    with asked_to_end() as ended:
        while True:
            try:
                code = _attempt(args, retraining.plan(args.config, args.set), process=False)
                if code > 128:  # a signal ended the run
                    return code
            except GraftError as error:
                logger.error("%s", error)
            except KeyboardInterrupt:  # a signal while it looked: no run had begun
                return 0
            if ended.wait(args.every):
                return 0


def _value(plan: Plan, made: Decision, status: str) -> dict[str, Any]:
    return {"status": status, "model": plan.config.name, "audit": str(plan.folder / audit.NAME)} | made.to_json()
