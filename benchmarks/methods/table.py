"""The table of measured experiments in Markdown, and the file that it is written from."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_HEAD = """# What each method is worth

Written by `python -m benchmarks.methods --table docs/methods-table.md` from `{source}`; not edited by hand.
[methods.md](methods.md) says when to use which method.

Scores are min / median / max over seeds, {unit}. **Gain** is the mean score of the method less that of the
baseline, over seeds and test examples; the interval errs at either end with 5 % probability at most, over all
baselines of the row together. A method **helps** where the interval is above 0 against every baseline, **hurts** where
it is below 0 against any, and else **cannot be told from its baseline**. The **control** is the method without what it
needs; it fails, as it should, unless it helps by the same rule. Seconds are of the processor, for one training, of the
method and of its strongest baseline. A baseline `scratch` is the same network from weights drawn anew, with the same
number of epochs and 500 steps at the least, its best epoch the most accurate one on eval (its eval loss is lowest
before it has learned anything); `pixels` is a linear head on pixels.
"""
_COLUMNS = ("experiment", "method", "baselines", "gain", "verdict", "control", "seconds")


def load(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a file; none where there is no file."""
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def store(path: pathlib.Path, row: Row) -> None:
    """Puts a row in the place of the one of the same method and experiment, or adds it; rows stay sorted."""
    key = (row["method"], row["experiment"])
    rows = [held for held in load(path) if (held["method"], held["experiment"]) != key]
    rows = sorted([*rows, row], key=lambda held: (held["method"], held["experiment"]))
    path.write_text(json.dumps({"rows": rows}, indent=1) + "\n", encoding="utf-8")


def markdown(rows: Sequence[Row], source: str) -> str:
    """The page, a part for each method."""
    parts = [_HEAD.format(source=source, unit="points of accuracy where nothing else is said")]
    for method in sorted({row["method"] for row in rows}):
        own = [row for row in rows if row["method"] == method]
        parts.append(f"## {method}\n\n" + _line(_COLUMNS) + _line(["---"] * len(_COLUMNS)) + "".join(map(_row, own)))
        parts.append("".join(f"- {row['experiment']}: {row['told']}{_findings(row)}\n" for row in own))
    return "\n".join(parts)


def _row(row: Row) -> str:
    scale, control = row["scale"], row["control"]
    others = [name for name in row["scores"] if name not in ("method", "control")]
    unit = "" if row["score"] == "accuracy" else f" ({row['score']})"
    fails = "fails, as it should" if control["fails"] else "**does not fail**"
    return _line(
        [
            f"{row['experiment']}, {row['seeds']} seeds, {row['test_examples']} test examples{unit}",
            _spread(row["scores"]["method"], scale),
            "<br>".join(f"{name} {_spread(row['scores'][name], scale)}" for name in others),
            "<br>".join(f"{name} {_gain(found, scale)}" for name, found in row["gain"].items()),
            row["verdict"],
            f"{control['is']}: {_spread(row['scores']['control'], scale)}; {fails}",
            "<br>".join(f"{name} {row['seconds'][name]:g}" for name in ("method", row["strongest"])),
        ]
    )


def _spread(found: Mapping[str, float], scale: float) -> str:
    values = sorted(found[name] * scale for name in ("min", "median", "max"))
    return " / ".join(_number(value, scale) for value in values)


def _gain(found: Mapping[str, float], scale: float) -> str:
    # Of minus an error the gain is told as a change of the error.
    low, high = sorted((found["low"] * scale, found["high"] * scale))
    mean, low, high = (f"{'+' if v >= 0 else ''}{_number(v, scale)}" for v in (found["mean"] * scale, low, high))
    return f"{mean} ({low} to {high})"


def _number(value: float, scale: float) -> str:
    return f"{value:.1f}" if scale == 100 else f"{value:.4f}"


def _findings(row: Row) -> str:
    told = "; ".join(
        f"{name} {', '.join(f'{one:.3g}' if isinstance(one, float) else str(one) for one in values)}"
        for name, values in row["findings"].items()
    )
    return f" Found: {told}." if told else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
