"""`graft labels`: the labels of a run that are worth a look, and near-duplicates, as a table, CSV or JSON."""

import argparse
import csv
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from graft.models.errors import GraftError
from graft.models.text import located
from graft.pipeline.output import answer, fitted, table

_TOP = 15
_CONFIGS = (".yaml", ".yml")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `labels` to the command line (see `pipeline.cli`)."""
    labels = add("labels", _labels, "list the labels of a run that are worth a look, and near-duplicates")
    labels.add_argument(
        "of", nargs="?", metavar="RUN|CONFIG", help="id of a run, or a YAML file for its latest; the latest if absent"
    )
    labels.add_argument("-o", "--output", type=pathlib.Path, metavar="FILE", help="write all of them there, as CSV")
    labels.add_argument("--top", type=int, metavar="N", help=f"the first N only (default: all; on a terminal {_TOP})")
    labels.add_argument("--name", help="name of the pipeline; may be left out unless several have such a run")
    labels.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"), help="of the runs (default: runs)")


def _labels(args: argparse.Namespace) -> int:
    if args.top is not None and args.top < 1:
        raise GraftError(f"--top: received {args.top}; allowed: at least 1")
    if args.output is not None and args.output.is_dir():
        raise GraftError(f"--output {args.output}: is a folder; name a file")
    folder, run, found = _found(args)
    rows = found["labels"][: args.top]
    if args.output is not None:
        from graft.models import durable

        args.output.parent.mkdir(parents=True, exist_ok=True)
        with durable.replacing(args.output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
            write_csv(file, rows, found["support"])
    counts = {key: found[key] for key in ("flagged", "ranked", "learned_from", "examples", "why_none", "why_no_test")}
    value = {"pipeline": folder.name, "run": run, **counts, "near": found["near"]}
    value |= {"labels": rows, "pairs": found["pairs"][: args.top]}
    if args.output is not None:
        value["output"] = str(args.output)
    answer(args, value, *_lines(args, folder.name, run, found))
    return 0


def _found(args: argparse.Namespace) -> tuple[pathlib.Path, str, dict[str, Any]]:
    """The pipeline's folder, the run and what its stage `labels` found.

    Raises:
        GraftError: there is no such run, or it has no such stage behind it.
    """
    from graft.pipeline.explain import find_run
    from graft.pipeline.metadata import Metadata
    from graft.pipeline.stages import base

    folder, run = find_run(_pipelines(args), None if _is_config(args.of) else args.of)
    done = {execution.stage: execution for execution in Metadata(folder).work(run)}
    found = base.read_kept(done.get("labels"), "review", "labels.json")
    if found is None:
        told = f"its review is {base.GONE}" if "labels" in done else "it did not come to the end of stage labels"
        raise GraftError(f"run {run} of {folder.name}: {told}; `graft run` makes it")
    return folder, run, found


def _is_config(asked: str | None) -> bool:
    return asked is not None and asked.lower().endswith(_CONFIGS)


def _pipelines(args: argparse.Namespace) -> list[pathlib.Path]:
    """Folders of pipelines to look in."""
    from graft.pipeline.metadata import FILE_NAME

    root, name = args.root, args.name
    if _is_config(args.of):
        from graft.pipeline import config as configs

        config = configs.load(args.of)
        root, name = config.run_root.parent, config.run_root.name
    found = sorted(path.parent for path in root.glob(f"*/{FILE_NAME}") if name in (None, path.parent.name))
    if not found:
        raise GraftError(f"{located(root)}: no metadata of {name or 'any pipeline'}; `graft run` makes it")
    return found


def write_csv(file: TextIO, rows: Sequence[Mapping[str, Any]], support: str) -> None:
    """Writes labels as CSV, a line each.

    Text that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, "CSV Injection").

    Args:
        file: open for text, without translation of line ends.
        rows: labels as of `components.labels.findings`.
        support: what the columns of given and suggested label hold; empty: there are none.
    """
    sure = {f"{support}_of_given": "for_given", f"{support}_of_suggested": "for_suggested"} if support else {}
    nearest = {"nearest_duplicate": "file", "its_label": "label", "its_split": "split", "distance": "distance"}
    writer = csv.writer(file)
    writer.writerow(("file", "split", "label", "given", "suggested", *sure, "score", "flagged", *nearest))
    for row in rows:
        other = row["nearest_duplicate"] or {}
        cells = [row["file"], row["split"], row["label"], row["given"], row["suggested"]]
        cells += [row[key] for key in sure.values()]
        cells += [row["score"], "yes" if row["flagged"] else "no", *(other.get(key, "") for key in nearest.values())]
        writer.writerow([_safe(cell) for cell in cells])


def _safe(cell: Any) -> Any:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return "" if cell is None else f"{cell:.6g}"


def _lines(args: argparse.Namespace, pipeline: str, run: str, found: Mapping[str, Any]) -> list[str]:
    if args.output is not None:
        written = len(found["labels"][: args.top])
        return [f"{args.output}: {written} of {found['ranked']} labels of run {run}"]
    near, examples = found["near"], found["examples"]
    looked = ", ".join(f"{count} {split}" for split, count in examples.items())
    told = [f"{pipeline}, run {run}: {found['flagged']} labels to look at among {looked}"]
    if found["why_none"]:
        told = [f"{pipeline}, run {run}: no label was judged: {found['why_none']}"]
    if found["why_no_test"]:
        told.append(f"The test split was not looked at: {found['why_no_test']}.")
    lines = fitted(told)
    rows = [_row(row, found["support"]) for row in found["labels"][: args.top or _TOP]]
    if rows:
        lines += ["", *table(rows, ("file", "split", "label", "the model says", "how sure", "flagged"))]
    told = [
        f"{near['pairs']} pairs of near-duplicates: {near['contradicting']} with labels that contradict one another, "
        f"{near['across_splits']} across splits, {near['within']} within one"
    ]
    lines += ["", *fitted(told)]
    near_ones = [_pair(pair) for pair in found["pairs"][: args.top or _TOP]]
    if near_ones:
        lines += ["", *table(near_ones, ("distance", "one", "label", "the other", "label"))]
    return lines


def _row(row: Mapping[str, Any], support: str) -> tuple[str, ...]:
    sure = f"{row['for_suggested']:.2f} against {row['for_given']:.2f}" if support else f"{row['score']:.1f}"
    return row["file"], row["split"], row["given"], row["suggested"], sure, "yes" if row["flagged"] else ""


def _pair(pair: Mapping[str, Any]) -> tuple[str, ...]:
    sides = [(f"{one['file']} ({one['split']})", one["label"]) for one in (pair["first"], pair["second"])]
    return f"{pair['distance']:.4f}", *sides[0], *sides[1]
