"""`graft kubeflow`: the commands this layer adds to the command line."""

import argparse
import pathlib
from collections.abc import Callable

from graft.kubeflow.options import KubeflowOptions
from graft.pipeline import sections
from graft.pipeline.output import answer


def add_commands(commands: argparse._SubParsersAction, add: Callable) -> None:
    """Adds `graft kubeflow compile`; `add` is `pipeline.cli`'s own helper."""
    kubeflow = commands.add_parser("kubeflow", help="compile the pipeline for Kubeflow Pipelines")
    verbs = kubeflow.add_subparsers(title="commands", required=True, metavar="COMMAND")
    parser = add("compile", _compile, "write pipeline spec 2.1 for open-source Kubeflow Pipelines", verbs)
    parser.add_argument("config", help="YAML file of the pipeline")
    parser.add_argument(
        "-o", "--output", type=pathlib.Path, default=pathlib.Path("pipeline.yaml"), help="file to write"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key")
    parser.add_argument("--image", help="container image of the components, in place of kubeflow.image")
    parser.add_argument("--pipeline-root", help="default root of the artifacts, in place of kubeflow.pipeline_root")


def _compile(args: argparse.Namespace) -> int:
    from graft.pipeline import config as configs

    config = configs.load(args.config, args.set)
    # Imported here: TFX takes 9 s, and the configuration may be at fault.
    from graft.kubeflow.compile import compile_pipeline

    options = sections.section(config, "kubeflow", KubeflowOptions)
    compile_pipeline(config, args.output, args.image or options.image, args.pipeline_root or options.pipeline_root)
    answer(args, {"pipeline": str(args.output)}, f"wrote {args.output} (pipeline spec 2.1)")
    return 0
