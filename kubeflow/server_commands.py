"""`graft kubeflow submit`, `schedule`, `status` and `logs`: what is asked of a Kubeflow Pipelines server."""

import argparse
import dataclasses
import datetime
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graft.models.errors import GraftError
from graft.models.text import say
from graft.pipeline import sections
from graft.pipeline.output import answer, table

if TYPE_CHECKING:
    from graft.kubeflow.client import PipelinesClient
    from graft.kubeflow.options import KubeflowOptions
    from graft.kubeflow.schedules import Schedule, Schedules
    from graft.pipeline.config import Config

_SHOWN = 20
_MOST = 200


def add_commands(verbs: Any, add: Callable) -> None:
    """Adds them to `graft kubeflow`.

    Args:
        verbs: its subparsers.
        add: `pipeline.cli`'s own helper.
    """
    submit = _with_config(add("submit", _submit, "run the pipeline on Kubeflow now", verbs))
    _with_package(submit)
    submit.add_argument("--name", help="name of the run, made once; else a new one with the time (default)")

    schedule = verbs.add_parser("schedule", help="run the pipeline on Kubeflow again and again")
    what = schedule.add_subparsers(title="commands", required=True, metavar="COMMAND")
    create = _with_config(add("create", _create, "make a schedule, or give it other settings", what))
    _with_package(create)
    create.add_argument(
        "--cron",
        required=True,
        metavar="'S M H D M W'",
        help="six fields, the second first: '0 0 3 * * *', each day at 3",
    )
    create.add_argument("--name", help="name of the schedule (default: that of the pipeline)")
    _with_config(add("list", _list, "the schedules of the experiment, and when each runs next", what))
    for name, command, text in (
        ("pause", _pause, "let a schedule start no runs"),
        ("resume", _resume, "let it start runs again; one that was missed starts at once"),
        ("delete", _delete, "delete a schedule; its runs stay"),
    ):
        verb = _with_config(add(name, command, text, what))
        verb.add_argument("name", nargs="?", metavar="NAME", help="the schedule (default: that of the pipeline)")

    status = _with_config(add("status", _status, "the newest runs, or the tasks of one run", verbs))
    status.add_argument("run", nargs="?", metavar="RUN", help="id of a run")
    status.add_argument("--count", type=int, default=_SHOWN, help=f"runs to show (default: {_SHOWN})")
    logs = _with_config(add("logs", _logs, "what a task of a run has printed", verbs))
    logs.add_argument("run", metavar="RUN", help="id of the run")
    logs.add_argument("task", metavar="TASK", help="name of the task, as status shows it")


def _with_config(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("config", metavar="CONFIG", help="YAML file of the pipeline; kubeflow.server says where")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    return parser


def _with_package(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pipeline", type=pathlib.Path, metavar="FILE", help="compiled file; else CONFIG is compiled")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="a value in place of the computed one"
    )


def _opened(args: argparse.Namespace) -> "tuple[Config, KubeflowOptions, PipelinesClient]":
    from graft.kubeflow.options import KubeflowOptions
    from graft.pipeline import config as configs

    config = configs.load(args.config, args.set)
    options = sections.section(config, "kubeflow", KubeflowOptions)
    from graft.kubeflow.client import PipelinesClient

    return config, options, PipelinesClient(options.server)


def _submit(args: argparse.Namespace) -> int:
    from graft.kubeflow import submission
    from graft.kubeflow.orchestrator import Kubeflow
    from graft.pipeline import config as configs

    config = configs.load(args.config, args.set)
    server, own = Kubeflow(config), submission.given(args.parameter)
    run = server.named(args.name) if args.name else None
    run = run or server.submit(server.prepare(config, args.pipeline, own), args.name)
    first = f"run {run.run} ({run.name}) in experiment {run.experiment}"
    answer(
        args,
        dataclasses.asdict(run),
        first if run.created else f"{first} was there already; nothing was submitted",
        *table(list(run.parameters.items())),
        run.address,
    )
    return 0


def _create(args: argparse.Namespace) -> int:
    from graft.kubeflow import cron, submission
    from graft.kubeflow.orchestrator import packaged
    from graft.kubeflow.schedules import Settings

    times = cron.parse(args.cron)
    following = [_shown(time) for time in times.after(datetime.datetime.now(datetime.UTC))]
    if not args.json:
        say(f"{times.text} means, in UTC: {', '.join(following)}")
    config, options, client = _opened(args)
    own = submission.given(args.parameter)
    package = packaged(config, options, args.pipeline)
    values = submission.values_scheduled(config, package, own)
    settings = Settings(times, package, values, package.root or options.pipeline_root)
    schedules = _schedules(config, options, client, create=True)
    done, schedule = schedules.create(args.name or config.name, settings)
    told = {
        "created": f"schedule {schedule.name} made",
        "replaced": f"schedule {schedule.name} has other settings now; it was replaced",
        "unchanged": f"schedule {schedule.name} has these settings already; nothing was changed",
    }[done]
    paused = "" if schedule.enabled else f"; it is paused: graft kubeflow schedule resume {args.config} {schedule.name}"
    value = {"status": done, **_value(schedule), "next": following if schedule.enabled else [], "parameters": values}
    answer(args, value, told + paused, *table([(key, held) for key, held in values.items()]))
    return 0


def _list(args: argparse.Namespace) -> int:
    found = _only_schedules(args).all()
    value = [_value(one) | {"next": [_shown(time) for time in one.next()]} for one in found]
    rows = [
        (one.name, _state(one), one.cron, ", ".join(held["next"]) or "-", one.id)
        for one, held in zip(found, value, strict=True)
    ]
    answer(args, {"schedules": value}, *table(rows, ("name", "state", "cron", "next (UTC)", "id")))
    return 0


def _pause(args: argparse.Namespace) -> int:
    return _told(args, lambda schedules, name: schedules.pause(name))


def _resume(args: argparse.Namespace) -> int:
    return _told(args, lambda schedules, name: schedules.resume(name))


def _told(args: argparse.Namespace, change: "Callable[[Schedules, str], Schedule]") -> int:
    schedule = change(*_named(args))
    answer(args, _value(schedule), f"schedule {schedule.name} is {_state(schedule)}")
    return 0


def _delete(args: argparse.Namespace) -> int:
    schedules, name = _named(args)
    schedules.delete(name)
    answer(args, {"name": name, "status": "deleted"}, f"schedule {name} is deleted")
    return 0


def _status(args: argparse.Namespace) -> int:
    from graft.kubeflow import run_state

    if not 1 <= args.count <= _MOST:
        raise GraftError(f"--count: received {args.count}; allowed: 1 to {_MOST}")
    config, options, client = _opened(args)
    if args.run is None:
        found = client.runs(client.experiment(options.server.experiment or config.name), args.count)
        value = [
            {
                "run": one.run_id,
                "name": one.display_name,
                "state": run_state.state(one),
                "created": _shown(one.created_at),
                "seconds": run_state.seconds(one.created_at, one.finished_at),
                "error": run_state.message(one.error),
            }
            for one in found
        ]
        rows = [[_cell(cell) for cell in one.values()] for one in value]
        answer(args, {"runs": value}, *table(rows, ("run", "name", "state", "created (UTC)", "seconds", "error")))
        return 0
    run = client.run(args.run)
    tasks = run_state.tasks(run)
    held = [{"task": one.name, "state": one.state, "seconds": one.seconds, "error": one.error} for one in tasks]
    state, error = run_state.state(run), run_state.message(run.error)
    silent = next((one.name for one in tasks if one.state == run_state.FAILED and not one.error), None)
    answer(
        args,
        {"run": run.run_id, "name": run.display_name, "state": state, "error": error, "tasks": held},
        f"{run.display_name}: {state}" + (f": {error}" if error else ""),
        *table([[_cell(cell) for cell in one.values()] for one in held], ("task", "state", "seconds", "error")),
        *([f"why {silent} failed: graft kubeflow logs {args.config} {args.run} {silent}"] if silent else []),
    )
    return 0


def _logs(args: argparse.Namespace) -> int:
    from graft.kubeflow import run_state
    from graft.kubeflow.server_errors import ServerError

    _, options, client = _opened(args)
    tasks = {one.name: one for one in run_state.tasks(client.run(args.run))}
    task = tasks.get(args.task.replace("_", "-"))
    if task is None:
        allowed = ", ".join(tasks) or "none; the run has started none"
        raise GraftError(f"run {args.run} has no task {args.task}; allowed: {allowed}")
    status = None
    for pod in task.pods:
        try:
            text = client.log(args.run, pod)
        except ServerError as error:
            if error.status in (0, 401, 403):
                raise
            status = error.status
            continue
        answer(args, {"run": args.run, "task": task.name, "pod": pod, "log": text}, *text.splitlines())
        return 0
    why = "none of its pods is known" if status is None else f"it answers {status} for its pods, which may be gone"
    namespace = options.server.namespace or "kubeflow"
    raise GraftError(
        f"{options.server.host}: the API has no log of {task.name}: {why}. With access to the cluster, while the pods "
        f"are kept: kubectl logs -n {namespace} -l pipeline/runid={args.run} -c main --prefix --tail=-1"
    )


def _schedules(config: "Config", options: "KubeflowOptions", client: "PipelinesClient", create: bool) -> "Schedules":
    from graft.kubeflow.schedules import Schedules

    return Schedules(client, client.experiment(options.server.experiment or config.name, create=create))


def _only_schedules(args: argparse.Namespace) -> "Schedules":
    return _schedules(*_opened(args), create=False)


def _named(args: argparse.Namespace) -> "tuple[Schedules, str]":
    config, options, client = _opened(args)
    return _schedules(config, options, client, create=False), args.name or config.name


def _value(schedule: "Schedule") -> dict[str, Any]:
    return {"name": schedule.name, "id": schedule.id, "cron": schedule.cron, "state": _state(schedule)}


def _state(schedule: "Schedule") -> str:
    return "enabled" if schedule.enabled else "paused"


def _shown(time: datetime.datetime | None) -> str:
    return f"{time.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S}" if time else "-"


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)
