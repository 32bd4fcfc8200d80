"""`graft kubeflow`: the commands this layer adds to the command line."""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable

from graft.kubeflow import server_commands
from graft.kubeflow.options import KubeflowOptions
from graft.models.text import say
from graft.pipeline import sections
from graft.pipeline.output import answer


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
    parser.add_argument("--no-cache", action="store_true", help="take no results of earlier runs")
    server_commands.add_commands(verbs, add)


def _compile(args: argparse.Namespace) -> int:
    from graft.pipeline import config as configs

    config = configs.load(args.config, args.set)
    # Imported here: TFX takes 9 s, and the configuration may be at fault.
    from graft.kubeflow.compile import compile_pipeline

    options = sections.section(config, "kubeflow", KubeflowOptions)
    compile_pipeline(config, args.output, args.image or options.image, args.pipeline_root or options.pipeline_root)
    answer(args, {"pipeline": str(args.output)}, f"wrote {args.output} (pipeline spec 2.1)")
    return 0


def _run_local(args: argparse.Namespace) -> int:
    from graft.kubeflow.stand_in import StandIn, TaskRun, read_spec
    from graft.pipeline.run import new_run_id

    stand_in = StandIn(read_spec(args.pipeline), args.folder, new_run_id(), caching=not args.no_cache)
    if not args.json:
        hidden = "each sees its own folder only" if stand_in.isolated else "nothing hides the others' folders from it"
        say(f"no cluster: a stand-in for Kubeflow's driver and launcher runs each task as a process; {hidden}")

    def tell(task: TaskRun) -> None:
        if not args.json:
            say(f"{task.name:16} {task.state:10} {task.seconds:7.1f} s {task.message}".rstrip())

    runs = stand_in.run(tell)
    failed = next((task for task in runs if task.state == "failed"), None)
    value = {"isolated": stand_in.isolated, "tasks": [dataclasses.asdict(task) for task in runs]}
    answer(args, value, f"failed at {failed.name}: {failed.message}" if failed else f"{len(runs)} tasks succeeded")
    return 1 if failed else 0
