"""`graft kubeflow`: the commands this layer adds to the command line."""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable

import yaml

from graft.kubeflow import server_commands
from graft.models.errors import GraftError
from graft.models.text import say
from graft.pipeline.output import answer

_SECRETS = "allowed: YAML with the keys of each secret below its name"


def add_commands(commands: argparse._SubParsersAction, add: Callable) -> None:
    """Adds `graft kubeflow` and its verbs; `add` is `pipeline.cli`'s own helper."""
    kubeflow = commands.add_parser("kubeflow", help="run the pipeline on Kubeflow Pipelines: compile, submit, schedule")
    verbs = kubeflow.add_subparsers(title="commands", required=True, metavar="COMMAND")
    parser = add("compile", _compile, "write pipeline spec 2.1 for open-source Kubeflow Pipelines", verbs)
    parser.add_argument("config", help="YAML file of the pipeline")
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, default=pathlib.Path("pipeline.yaml"), help="file to write"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--image", help="container image of the components, in place of kubeflow.image")
    parser.add_argument("--pipeline-root", help="default root of the artifacts, in place of kubeflow.pipeline_root")
    parser = add("run-local", _run_local, "run a compiled file on this machine, task by task, as Kubeflow would", verbs)
    parser.add_argument("pipeline", type=pathlib.Path, help="file that compile wrote")
    parser.add_argument(
        "--folder", type=pathlib.Path, default=pathlib.Path("kubeflow-run"), help="stands for object store and pods"
    )
    parser.add_argument("--config", help="configuration of the pipeline: data, code and backbone are parameters")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of it")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the run")
    parser.add_argument("--secrets", type=pathlib.Path, help="YAML file: name of a secret, key, value")
    parser.add_argument("--limits", action="store_true", help="end a task that takes more memory than its limit")
    parser.add_argument("--no-cache", action="store_true", help="take no results of earlier runs")
    server_commands.add_commands(verbs, add)


def _compile(args: argparse.Namespace) -> int:
    from graft.pipeline import config as configs

    config = configs.load(args.config, args.set)
    # Imported here: TFX takes 9 s, and the configuration may be at fault.
    from graft.kubeflow.compile import compile_pipeline

    compile_pipeline(config, args.output, args.image, args.pipeline_root)
    answer(args, {"pipeline": str(args.output)}, f"wrote {args.output} (pipeline spec 2.1)")
    return 0


def _run_local(args: argparse.Namespace) -> int:
    from graft.kubeflow import submission
    from graft.kubeflow.stand_in import StandIn, TaskRun, read_documents
    from graft.pipeline import config as configs
    from graft.pipeline.run import new_run_id

    documents, values = read_documents(args.pipeline), submission.given(args.parameter)
    if args.config is not None:
        config = configs.load(args.config, args.set)
        values = submission.values_now(config, submission.read_package(args.pipeline), values)
    stand_in = StandIn(
        documents,
        args.folder,
        new_run_id(),
        values,
        caching=not args.no_cache,
        secrets=_secrets(args.secrets),
        limits=args.limits,
    )
    if not args.json:
        hidden = "each sees its own folder only" if stand_in.isolated else "nothing hides the others' folders from it"
        say(f"no cluster: a stand-in for Kubeflow's driver and launcher runs each task as a process; {hidden}")
        if stand_in.shared:
            say(f"workers of {', '.join(stand_in.shared)}: processes of this machine that reach each other on loopback")

    def tell(task: TaskRun) -> None:
        if not args.json:
            say(f"{task.name:18} {task.state:10} {task.seconds:7.1f} s {task.message}".rstrip())

    runs = stand_in.run(tell)
    failed = next((task for task in runs if task.state == "failed" and not task.exit), None)
    value = {"isolated": stand_in.isolated, "tasks": [dataclasses.asdict(task) for task in runs]}
    answer(args, value, f"failed at {failed.name}: {failed.message}" if failed else f"{len(runs)} tasks ended well")
    return 1 if failed else 0


def _secrets(path: pathlib.Path | None) -> dict[str, dict[str, str]]:
    if path is None:
        return {}
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        # The text of a parser's error may hold what it could not read.
        raise GraftError(f"{path}: {getattr(error, 'strerror', None) or 'is no YAML'}; {_SECRETS}") from None
    if not isinstance(held, dict) or not all(isinstance(keys, dict) for keys in held.values()):
        raise GraftError(f"{path}: {_SECRETS}")
    return {name: {key: str(value) for key, value in keys.items()} for name, keys in held.items()}
