"""`graft predict`: what a model says of files and folders, asked of a server or of a store in this process."""

import argparse
import contextlib
import csv
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from graft.models.errors import GraftError
from graft.models.text import say
from graft.pipeline.output import EXIT_ERROR, answer, table

if TYPE_CHECKING:
    from graft.serving.predictor import Prediction, PredictionError, Predictor

    Outcome = Prediction | PredictionError

FORMATS = ("table", "csv", "jsonl")


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `predict` to the command line (see `pipeline.cli`)."""
    predict = add("predict", _predict, "say what a model makes of files and folders, by a server or without one")
    predict.set_defaults(view=_shown)
    predict.add_argument(
        "files",
        nargs="+",
        type=pathlib.Path,
        metavar="FILE",
        help="files, each with a content of the kind that the model takes, and folders of such files",
    )
    predict.add_argument("--server", metavar="HOST:PORT", help="ask this one, by gRPC; else the model is loaded here")
    predict.add_argument(
        "--store", default="runs/store", help="holds the model: a folder or s3://BUCKET/PREFIX (default: runs/store)"
    )
    predict.add_argument("--model", help="name of the model; may be left out if the store holds one only")
    predict.add_argument("--version", type=int, help="version of the model (default: the one that is served)")
    predict.add_argument("--format", choices=FORMATS, default="table", help="of the answers (default: table)")
    predict.add_argument("-o", "--output", type=pathlib.Path, metavar="FILE", help="write the answers there")
    predict.add_argument("--deadline", type=float, help="with --server: seconds a request with retries (default: 30)")
    predict.add_argument("--trust", action="store_true", help="load the model though it does more than compute")


def _predict(args: argparse.Namespace) -> int:
    from graft.serving import contents

    _check(args)
    for path in args.files:  # folders wait for what the model takes
        if not path.is_dir():
            contents.require_readable(path)
    refused: list[PredictionError] = []
    with args.view() as view:
        if args.server is None:
            view.preparing("loading the model")
        with _opened(args) as model:
            files = contents.find(args.files, lambda: model.takes)
            outcomes = model.outcomes(contents.read(files))
            told = _watched(zip(files, outcomes, strict=True), len(files), model, view, refused)
            _WRITERS["json" if args.json else args.format](args, told)
    for error in refused:
        say(f"graft: {error}", file=sys.stderr)
    if len(files) > 1 and refused:
        say(f"graft: {len(refused)} of {len(files)} files were not predicted", file=sys.stderr)
    return EXIT_ERROR if refused else 0


def _shown() -> Any:
    from graft.pipeline.progress_view import ProgressView

    return ProgressView()


class Unshown:
    """Stands for a view of progress where there is none; a context manager."""

    def __enter__(self) -> "Unshown":
        return self

    def __exit__(self, *_) -> None:
        pass

    def preparing(self, text: str) -> None:
        """Nothing."""

    def report(self, *_: Any) -> None:
        """Nothing."""


def _check(args: argparse.Namespace) -> None:
    if args.deadline is not None and args.server is None:
        raise GraftError("--deadline was given; it is allowed with --server alone")
    if args.deadline is not None and not args.deadline > 0:
        raise GraftError(f"--deadline: received {args.deadline:g}; allowed: seconds above 0")
    if args.trust and args.server is not None:
        raise GraftError("--trust was given; a server decides by itself what it loads")
    if args.json and args.format != "table":
        raise GraftError(f"--format {args.format} was given with --json; one of the two is allowed")
    if args.output is not None and args.output.is_dir():
        raise GraftError(f"--output {args.output}: is a folder; name a file")


def _opened(args: argparse.Namespace) -> "contextlib.AbstractContextManager[Predictor]":
    from graft.serving.loaded import load, only_model
    from graft.serving.store import open_store

    if args.server is None:
        return load(args.store, args.model, args.version, args.trust)
    from graft.serving.client import Client

    name = args.model or only_model(open_store(args.store))
    return Client(args.server, name, version=args.version, deadline_s=args.deadline or 30.0)


def _watched(
    outcomes: "Iterator[tuple[pathlib.Path, Outcome]]",
    total: int,
    model: "Predictor",
    view: Any,
    refused: "list[PredictionError]",
) -> "Iterator[tuple[pathlib.Path, Outcome]]":
    """The same, with progress; what was refused is noted."""
    from graft.serving.predictor import PredictionError

    view.preparing(f"predicting {total} {model.takes.unit}")
    for done, (path, outcome) in enumerate(outcomes, 1):
        if isinstance(outcome, PredictionError):
            refused.append(outcome.of_file(path))
        view.report("predict", done, total, model.takes.unit, {})
        yield path, outcome


def _row(path: pathlib.Path, outcome: "Outcome") -> dict[str, Any]:
    """One answer as JSON types."""
    from graft.serving.predictor import PredictionError

    if isinstance(outcome, PredictionError):
        return {"file": str(path), "error": str(outcome)}
    row = {"file": str(path), **outcome.outputs}
    return row | {"request_id": outcome.request_id, "row": outcome.row} if outcome.request_id else row


@contextlib.contextmanager
def _target(args: argparse.Namespace) -> Iterator[TextIO]:
    """Where answers go: stdout, or a file that is there when all have been written."""
    if args.output is None:
        yield sys.stdout
        return
    from graft.models import durable

    args.output.parent.mkdir(parents=True, exist_ok=True)
    with durable.replacing(args.output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


def _write_jsonl(args: argparse.Namespace, outcomes: "Iterator[tuple[pathlib.Path, Outcome]]") -> None:
    from graft.pipeline.strict_json import to_json

    with _target(args) as file:
        for path, outcome in outcomes:
            file.write(to_json(_row(path, outcome)) + "\n")


def _write_csv(args: argparse.Namespace, outcomes: "Iterator[tuple[pathlib.Path, Outcome]]") -> None:
    """A column for each output, `probabilities.rose` for one with names; the last one says why there are none."""
    with _target(args) as file:
        writer, early = None, []
        for path, outcome in outcomes:
            row = _flat(_row(path, outcome))
            if writer is None and "error" in row:
                early.append(row)  # the columns are not known yet
                continue
            if writer is None:
                writer = csv.DictWriter(file, [*row, "error"])
                writer.writeheader()
                writer.writerows(early)
            writer.writerow(row)
        if writer is None:
            writer = csv.DictWriter(file, ["file", "error"])
            writer.writeheader()
            writer.writerows(early)


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, one in value.items():
        if isinstance(one, list):
            one = {str(place): part for place, part in enumerate(one)}
        flat |= {f"{name}.{key}": part for key, part in _flat(one).items()} if isinstance(one, dict) else {name: one}
    return flat


def _write_table(args: argparse.Namespace, outcomes: "Iterator[tuple[pathlib.Path, Outcome]]") -> None:
    from graft.models.targets import shown
    from graft.serving.predictor import PredictionError

    answers = [(path, shown(one.outputs)) for path, one in outcomes if not isinstance(one, PredictionError)]
    lines = table([(path, *said.values()) for path, said in answers], ("file", *answers[0][1])) if answers else []
    if args.output is None:
        say(*lines)
        return
    with _target(args) as file:
        say(*lines, file=file)


def _write_json(args: argparse.Namespace, outcomes: "Iterator[tuple[pathlib.Path, Outcome]]") -> None:
    from graft.pipeline.strict_json import to_json

    rows = [_row(path, outcome) for path, outcome in outcomes]
    value: dict[str, Any] = {"predictions": [row for row in rows if "error" not in row]}
    if refused := [row for row in rows if "error" in row]:
        value |= {"status": "error", "error": refused[0]["error"], "refused": refused}
    if args.output is None:
        answer(args, value)
        return
    with _target(args) as file:
        say(to_json(value), file=file)


_WRITERS: dict[str, Callable[[argparse.Namespace, "Iterator[tuple[pathlib.Path, Outcome]]"], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "json": _write_json,
}
