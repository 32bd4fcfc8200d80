"""The `graft` command. Heavy packages are imported by the commands that need them, so that help is at once there."""

import argparse
import logging
import os
import pathlib
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import absl.logging

from graft.models import deferred, entry_points
from graft.models.errors import GraftError
from graft.models.log_format import JsonFormatter
from graft.models.text import LogFormatter, located, printable, say, traceback_lines
from graft.pipeline import (
    backbone_command,
    compare_command,
    completion,
    config_command,
    curve_command,
    export_command,
    labels_command,
    predict_command,
    rank_command,
)
from graft.pipeline.native_log import leave_out_chatter
from graft.pipeline.output import EXIT_ERROR, EXIT_FAULT, answer, fitted, show_run, table
from graft.pipeline.strict_json import to_json

if TYPE_CHECKING:
    from graft.pipeline.ending import Ending


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        0 if all went well, 1 if a gate closed or a check found a fault, 2 for an error the user can mend, 3 for a
        fault of Graft itself, 128 and its number for a signal.
    """
    if argv is None:  # else a program calls, which goes on
        deferred.own_process()
    try:
        args = _parser().parse_args(argv)
    except GraftError as error:  # of a package that registers commands
        say(f"graft: {error}", file=sys.stderr)
        return EXIT_ERROR
    args.process = argv is None
    if args.process and not args.verbose:
        leave_out_chatter()
    _quiet(args.verbose)
    try:
        return args.command(args)
    except BrokenPipeError:
        # Python flushes stdout once more at its end, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except Exception as error:
        message, code = _explain(error)
        if args.json:
            say(to_json({"status": "error", "error": message}))
        faults = error.lines if isinstance(error, GraftError) and len(error.lines) > 1 else (message,)
        say(*(f"graft: {fault}" for fault in faults), file=sys.stderr)
        return code
    except KeyboardInterrupt as error:
        # Of a command that does not await signals, or of `run` and `demo` before a run had begun.
        message = str(error) or "interrupted by SIGINT; run the same command again"
        if args.json:
            say(to_json({"status": "interrupted", "error": message}))
        say(f"graft: {message}", file=sys.stderr)
        return 128 + getattr(error, "number", signal.SIGINT)


def _explain(error: Exception) -> tuple[str, int]:
    """The one line for the user, and the exit code; shows the traceback of a fault of Graft."""
    if isinstance(error, entry_points.RegistrationError):  # of a package whose kinds the configuration knows: nor can
        return str(error), EXIT_ERROR  # what is imported next then
    # Imported here: `graft --help` does without.
    from graft.pipeline import failures

    message, code = failures.explain(error)
    if code == EXIT_FAULT:
        say(*traceback_lines(error), file=sys.stderr)
    return message, code


class _Version(argparse.Action):
    """Prints what is installed, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from graft.pipeline.versions import installed  # imported here: other commands do without

        say(*(f"{name} {version}" for name, version in installed().items()))
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """Arguments that it repeats in an error may hold anything."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="graft", description="A production pipeline for transfer learning.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print what is installed, and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout; logs go to stderr")
    common.add_argument("-v", "--verbose", action="store_true", help="show what TFX and TensorFlow log")

    def add(name: str, command: Callable, text: str, parent=commands) -> argparse.ArgumentParser:
        added = parent.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", parents=[common])
        added.set_defaults(command=command)
        return added

    init = add("init", _init, "write a configuration with every default and a comment to each")
    init.add_argument("path", type=pathlib.Path, help="file to write, configs/NAME.yaml")
    init.add_argument("--data", default="data", help="folder of class folders (default: data)")
    init.add_argument("--backbone", default="backbone", help="handle of the backbone")
    init.add_argument(
        "--schema", action="store_true", help="write graft.schema.json for editors beside it, and name it"
    )

    run = add("run", _run, "run a pipeline: from data to a gated, pushed model")
    run.add_argument("config", help="YAML file of the pipeline")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key, train.epochs=5")
    run.add_argument("--dry-run", action="store_true", help="check config, data, backbone and places; write nothing")
    run.add_argument("--from", dest="from_stage", metavar="STAGE", help="run this stage and those after it again")
    run.add_argument("--wait", action="store_true", help="wait for another run of this pipeline")

    demo = add("demo", _demo, "show transfer that helps and transfer that hurts, on handwritten digits")
    demo.add_argument("--seeds", type=int, default=3, help="trainings of each kind (default: 3)")
    demo.add_argument("--root", default="runs/demo", help="folder to work in (default: runs/demo)")

    serve = add("serve", _serve, "serve a model store over gRPC and REST")
    serve.add_argument("store", help="the model store: a folder or s3://BUCKET/PREFIX")
    serve.add_argument("--host", help="address to listen on (default: 127.0.0.1; the real server takes all)")
    serve.add_argument("--grpc-port", type=int, default=8500, help="0: a free one (default: 8500)")
    serve.add_argument("--rest-port", type=int, default=8501, help="0: a free one, -1: no REST (default: 8501)")
    serve.add_argument("--embedded", action="store_true", help="not tensorflow_model_server, even if it is on the PATH")
    serve.add_argument("--no-freeze", action="store_true", help="do not freeze variables to constants")
    serve.add_argument(
        "--trust", action="append", default=[], metavar="MODEL", help="serve it though it does more than compute"
    )
    serve.add_argument("--drain", type=float, default=30.0, help="seconds for calls under way at the end (default: 30)")
    serve.add_argument(
        "--observe", action="append", default=[], metavar="NAME", help="tell this installed observer of every request"
    )
    serve.add_argument("--timeout", type=float, help="seconds a request may run (default: 30 by REST, 120 by gRPC)")

    serve.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="how the server logs on stderr (default: text)"
    )

    models = commands.add_parser("models", help="look at the model store and move its pointer")
    verbs = models.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text in (
        ("list", "versions, which one is served, which are pinned"),
        ("rollback", "serve the previous or a given version and pin it"),
        ("pin", "serve a version and keep serving it whatever is pushed"),
        ("unpin", "let pushes move the pointer again"),
        ("verify", "compare every file with its manifest"),
    ):
        verb = add(name, _models, text, verbs)
        verb.set_defaults(verb=name)
        verb.add_argument("model", nargs="?" if name in ("list", "verify") else None, help="name of the model")
        if name in ("rollback", "pin", "verify"):
            verb.add_argument("version", type=int, nargs=None if name == "pin" else "?", help="version")
        verb.add_argument("--store", default="runs/store", help="folder, or s3://BUCKET/PREFIX (default: runs/store)")

    runs = add("runs", _runs, "list the runs of the pipelines, from their metadata stores")
    runs.add_argument("name", nargs="?", help="name of the pipeline; all if absent")
    runs.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"), help="(default: runs)")
    runs.add_argument("--page", type=pathlib.Path, metavar="FILE", help="write an HTML page with metrics over the runs")

    explain = add("explain", _explain_run, "say in plain words what transferred in a run, and how sure that is")
    explain.add_argument("run", nargs="?", help="id of the run, as `graft runs` lists it; the latest if absent")
    explain.add_argument("--name", help="name of the pipeline; may be left out unless several have such a run")
    explain.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"), help="(default: runs)")

    lineage = add("lineage", _lineage, "which data, code, backbone, config and metrics made a pushed version")
    lineage.add_argument("version", help="version in the model store")
    lineage.add_argument("--name", help="name of the pipeline; may be left out if there is one only")
    lineage.add_argument("--store", help="the store; needed if the version was pushed to several")
    lineage.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"), help="(default: runs)")

    predict_command.add_commands(commands, add)
    backbone_command.add_commands(commands, add)
    rank_command.add_commands(commands, add)
    curve_command.add_commands(commands, add)
    compare_command.add_commands(commands, add)
    export_command.add_commands(commands, add)
    labels_command.add_commands(commands, add)
    config_command.add_commands(commands, add)
    completion.add_command(commands, add, _parser)

    # The layers above the pipeline bring their own commands (setup.py, entry points "graft.commands").
    for entry in entry_points.find("graft.commands", "command").values():
        entry_points.load(entry, "command")(commands, add)
    return parser


def _quiet(verbose: bool) -> None:
    """Before TensorFlow is imported: Keras 3 for every process started from here, and no chatter on stderr."""
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "3")
    os.environ.setdefault("GRPC_VERBOSITY", "INFO" if verbose else "NONE")
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])
    if not verbose:
        handler.addFilter(_is_ours)
        # absl sets the level of its own logger, whatever the root says.
        absl.logging.set_verbosity(absl.logging.FATAL)
        warnings.simplefilter("ignore")


def _is_ours(record: logging.LogRecord) -> bool:
    """What TFX and Beam log of a failure, with its traceback, also comes as an exception, and is explained."""
    return record.levelno >= logging.CRITICAL or record.name.partition(".")[0] == "graft"


def _init(args: argparse.Namespace) -> int:
    from graft.models.durable import write_atomic
    from graft.pipeline import config as configs
    from graft.pipeline import config_yaml, floors
    from graft.pipeline.reference import starter_config

    if args.path.exists():
        raise GraftError(f"{args.path}: exists already; give another name")
    args.path.parent.mkdir(parents=True, exist_ok=True)
    name = args.path.stem
    first = configs.parse(config_yaml.parse(starter_config(name, args.data, args.backbone)), "graft init")
    limits, told = floors.proposed_at_first(first)
    schema = args.path.with_name(config_command.SCHEMA_FILE)
    if args.schema:
        config_command.write_schema(schema)
    named = f"./{schema.name}" if schema.is_file() else None
    write_atomic(args.path, starter_config(name, args.data, args.backbone, limits, named).encode())
    value = {"config": str(args.path), "floors": limits, "schema": str(schema) if named else None}
    answer(args, value, told, f"wrote {args.path}; next: graft run {args.path} --dry-run")
    return 0


def _run(args: argparse.Namespace) -> int:
    if sys.stderr.isatty():  # a person waits for the imports below; for others an error in the file is one line
        say(f"reading {args.config}", file=sys.stderr)
    from graft.pipeline.ending import Ending

    with Ending(args.json, args.process) as end:
        return _run_until(args, end)


def _run_until(args: argparse.Namespace, end: "Ending") -> int:
    from graft.pipeline import config as configs

    config = configs.load(args.config, args.set)
    # Before the imports below, and those of TensorFlow and TFX after them: they take seconds.
    say(f"{config.name}: checking the data", file=sys.stderr)
    from graft.pipeline import run
    from graft.pipeline.progress_view import ProgressView

    if args.dry_run:
        from graft.models import progress
        from graft.pipeline import dry_run

        with ProgressView() as view:
            sink = progress.set_sink(view.report)
            try:
                found = dry_run.look(config, args.from_stage, view.preparing)
            finally:
                progress.set_sink(sink)
        return dry_run.show(args, found, config)
    with ProgressView() as view:
        result = run.run(config, view, from_stage=args.from_stage, wait=args.wait, end=end)
    return show_run(args, result, end)


def _demo(args: argparse.Namespace) -> int:
    from graft.pipeline.demo import demo
    from graft.pipeline.ending import Ending

    with Ending(args.json, args.process) as end:
        return demo(pathlib.Path(args.root), args.seeds, args.json, end)


def _serve(args: argparse.Namespace) -> int:
    from graft.serving.launch import serve

    logging.getLogger("graft.serving").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.removeFilter(_is_ours)  # what the transports say counts here
        if args.log_format == "json":
            handler.setFormatter(JsonFormatter())

    def ready(grpc: str, rest: str | None) -> None:
        answer(args, {"grpc": grpc, "rest": rest}, f"ready: gRPC {grpc}" + (f", REST {rest}" if rest else ""))

    return serve(
        args.store,
        args.grpc_port,
        None if args.rest_port < 0 else args.rest_port,
        host=args.host,
        embedded=True if args.embedded else None,
        drain_s=args.drain,
        on_ready=ready,
        freeze=not args.no_freeze,
        trusted=args.trust,
        timeout_s=args.timeout,
        observers=args.observe,
    )


def _models(args: argparse.Namespace) -> int:
    from graft.pipeline import store_commands

    return store_commands.run(args)


def _pipelines(root: pathlib.Path, name: str | None, begun: bool = False) -> list[pathlib.Path]:
    """Folders of pipelines with metadata; with `begun` those too where no run came to its first stage.

    Raises:
        GraftError: there is none.
    """
    from graft.pipeline.holder import LOCK
    from graft.pipeline.metadata import FILE_NAME

    found = {path.parent for path in root.glob(f"*/{FILE_NAME}")}
    if begun:
        found |= {path.parent for path in root.glob(f"*/{LOCK}") if (path.parent / "runs").is_dir()}
    of_name = sorted(path for path in found if name in (None, path.name))
    if not of_name:
        raise GraftError(f"{located(root)}: no metadata of {name or 'any pipeline'}; `graft run` makes it")
    return of_name


def _runs(args: argparse.Namespace) -> int:
    from graft.pipeline.lineage import describe_runs
    from graft.pipeline.metadata import FILE_NAME, Metadata
    from graft.pipeline.result_file import headline

    value = []
    for path in _pipelines(args.root, args.name, begun=True):
        value += describe_runs(path, Metadata(path) if (path / FILE_NAME).is_file() else None)
    found: dict = {"runs": value}
    rows = [[*list(row.values())[:-1], headline(row["metrics"]) or "-"] for row in value]
    lines = table(rows, (*list(value[0])[:-1], "on its test split") if value else ("pipeline", "run"))
    if args.page is not None:
        from graft.pipeline import runs_page  # imported here: templates and plots take time

        runs_page.write(args.page, args.root, value)
        found["page"] = str(args.page)
        lines.append(f"page: {args.page}")
    answer(args, found, *lines)
    return 0


def _explain_run(args: argparse.Namespace) -> int:
    from graft.pipeline.explain import explain_run, find_run

    value, text = explain_run(*find_run(_pipelines(args.root, args.name), args.run))
    answer(args, value, *fitted(text.split("\n")))
    return 0


def _lineage(args: argparse.Namespace) -> int:
    from graft.pipeline.lineage import describe_lineage
    from graft.pipeline.metadata import Metadata
    from graft.serving.store import open_store

    found = _pipelines(args.root, args.name)
    if len(found) > 1:
        raise GraftError(f"{args.root}: several pipelines ({', '.join(p.name for p in found)}); choose one with --name")
    store = open_store(args.store) if args.store else None
    if store:
        store.models()  # a mistyped path must fail, not become a store
    value, text = describe_lineage(Metadata(found[0]), args.version, store.store_id if store else None)
    answer(args, value, *text.split("\n"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
