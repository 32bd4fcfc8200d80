"""`graft compare`: what differs between two runs, or two versions of a model."""

import argparse
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graft.pipeline.output import answer, fitted, table

_MOST_PARTS = 20
"""Classes or numbers that a terminal shows; of more, those that differ most."""


def add_commands(commands: Any, add: Callable) -> None:
    """Adds `compare` to the command line (see `pipeline.cli`)."""
    compare = add("compare", _compare, "what differs between two runs or versions: settings, figures, timings")
    for name in ("first", "second"):
        compare.add_argument(name, help="id of a run or number of a version; PIPELINE/RUN, MODEL/VERSION where several")
    compare.add_argument("--name", help="name of the pipeline or model; may be left out unless several have such a one")
    compare.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"), help="of the runs (default: runs)")
    compare.add_argument("--store", default="runs/store", help="of the versions (default: runs/store)")


def _compare(args: argparse.Namespace) -> int:
    from graft.pipeline import compare

    first, second = (compare.find(asked, args.root, args.store, args.name) for asked in (args.first, args.second))
    found = compare.compare(first, second)
    answer(args, found, *lines(found))
    return 0


def lines(found: Mapping[str, Any]) -> list[str]:
    """What `compare` found, for a terminal."""
    told = [_head(letter, found[side]) for letter, side in (("A", "first"), ("B", "second"))]
    told = [*fitted(told), *fitted(found["notes"])]
    if found["judged"] is not None:
        told += ["", *_judged(found["judged"])]
    elif any(found[side]["metrics"] for side in ("first", "second")):
        told += ["", *_metrics(found["first"]["metrics"], found["second"]["metrics"])]
    if found["config"] is not None:
        rows = [(row["key"], *(_value(row, side) for side in ("first", "second"))) for row in found["config"]]
        told += ["", *(table(rows, ("setting", "A", "B")) if rows else ["The configurations are the same."])]
    rows = [(name, *(_took(row[side]) for side in ("first", "second"))) for name, row in found["stages"].items()]
    if rows:
        told += ["", *table([*rows, _total(found["stages"])], ("stage (seconds)", "A", "B"))]
    return told


def _head(letter: str, side: Mapping[str, Any]) -> str:
    version = "" if side["version"] is None else f" version {side['version']},"
    run = f" run {side['run']}" if side["run"] else " made by a run that is not known"
    status = f": {side['status'].replace('_', ' ')}" if side["status"] else ""
    return f"{letter}: {side['pipeline']}{version}{run}{status}"


def _judged(judged: Mapping[str, Any]) -> list[str]:
    rows = [_row(name, row) for name, row in judged["figures"].items()]
    told = [*fitted([judged["statement"]]), "", *table(rows, ("figure", "A", "B", "B - A (95 %)", ""))]
    head = judged["figures"].get(judged["headline"])
    if head and head["difference"]["value"] is not None:
        told += ["", *fitted([_verdict(judged["headline"], head["difference"], judged["higher_is_better"])])]
    parts = judged["parts"]
    if not parts:
        return told
    shown = list(parts)
    if len(shown) > _MOST_PARTS:
        shown = sorted(shown, key=lambda name: -abs(parts[name]["difference"]["value"] or 0.0))[:_MOST_PARTS]
    rows = [(*_row(name, parts[name])[:4], _count(parts[name]["examples"]), _sure(parts[name])) for name in shown]
    told += ["", *table(rows, (judged["part_score_name"], "A", "B", "B - A (95 %)", "examples", ""))]
    if len(shown) < len(parts):
        told.append(f"the {len(shown)} of {len(parts)} that differ most; --json has all")
    return told


def _row(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    difference = row["difference"]
    if difference["value"] is None:
        return name, _figure(row["first"]["value"]), _figure(row["second"]["value"]), "-", ""
    low, high = difference["interval"]
    gap = f"{difference['value']:+.4f} ({low:+.4f} to {high:+.4f})"
    return name, *(_with_interval(row[side]) for side in ("first", "second")), gap, _sure(row)


def _sure(row: Mapping[str, Any]) -> str:
    return {None: "", True: "more than luck", False: "may be luck"}[row["difference"]["distinguishable"]]


def _verdict(name: str, difference: Mapping[str, Any], higher_is_better: bool) -> str:
    words = name.replace("_", " ")
    if not difference["distinguishable"]:
        return f"By {words} B is not distinguishable from A."
    return f"By {words} B is {'better' if (difference['value'] > 0) == higher_is_better else 'worse'} than A."


def _metrics(first: Mapping[str, float], second: Mapping[str, float]) -> list[str]:
    names = [*first, *(name for name in second if name not in first)]
    return table(
        [(n, _figure(first.get(n)), _figure(second.get(n))) for n in names], ("each on its own split", "A", "B")
    )


def _with_interval(found: Mapping[str, Any]) -> str:
    if found["interval"] is None:
        return _figure(found["value"])
    low, high = found["interval"]
    return f"{_figure(found['value'])} ({_figure(low)} to {_figure(high)})"


def _figure(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"


def _count(examples: Sequence[int]) -> str:
    return str(examples[0]) if examples[0] == examples[1] else f"{examples[0]}, {examples[1]}"


def _value(row: Mapping[str, Any], side: str) -> str:
    return json.dumps(row[side], ensure_ascii=False) if side in row else "-"


def _took(stage: Mapping[str, Any] | None) -> str:
    return "-" if stage is None else "cached" if stage["cached"] else f"{stage['seconds']:.1f}"


def _total(stages: Mapping[str, Any]) -> tuple[str, ...]:
    sums = (sum(row[side]["seconds"] for row in stages.values() if row[side]) for side in ("first", "second"))
    return "all", *(f"{seconds:.1f}" for seconds in sums)
