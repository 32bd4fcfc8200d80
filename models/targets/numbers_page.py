"""What a report shows of numbers: errors by column and by size, answers against the truth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.models.page import Axes, Block, Card, Column, Examples, Plot, Section, Series, Shown, Table, Text, Tile
from graft.models.targets import label_page

_MOST_MISTAKES, _MOST_PLOTS = 12, 8
_NOTE = (
    "Errors are in the units of the column. R2 is 1 less the mean squared error by the variance of the test split: 0 "
    "is as good as its mean. Intervals hold the figure in 95 % of test splits (bootstrap over examples). Bias is the "
    "mean of answer less truth."
)
_NAMES = {
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "r2": "R2",
}


def tiles(figures: Mapping[str, Any]) -> list[Tile]:
    """The three figures with their intervals."""
    columns = len(figures["per_column"])
    over = f", mean of {columns} columns" if columns > 1 else ""
    return [Tile(words, _told(figures[name]), _interval(figures, name) + over) for name, words in _NAMES.items()]


def sections(figures: Mapping[str, Any], unit: str) -> list[Section]:
    """Errors by column, answers against the truth, errors by size."""
    blocks: list[Block] = [by_column(figures, "By column"), Text(_NOTE, note=True)]
    if figures["invalid"]:
        blocks.append(
            Text(f"{figures['invalid']} test {unit} got answers that are not finite numbers; they are in no figure.")
        )
    shown = [(name, row) for name, row in figures["per_column"].items() if row["points"]][:_MOST_PLOTS]
    blocks += [_plot(name, row, unit) for name, row in shown]
    return [Section("quality", "Quality on the test split", blocks)]


def by_column(figures: Mapping[str, Any], title: str = "") -> Table:
    """The figures of each column with their intervals."""
    titles = (*(part for words in _NAMES.values() for part in (words, "95 % interval")), "bias", "standard deviation")
    columns = [Column("column"), *(Column(name, "number", -1) for name in titles)]
    rows = [
        (
            name,
            *(part for key in _NAMES for part in (_told(row[key]), _interval(row, key, ""))),
            _told(row["bias"]),
            _told(row["std"]),
        )
        for name, row in figures["per_column"].items()
    ]
    return Table(columns, rows, title)


def _plot(name: str, row: Mapping[str, Any], unit: str) -> Plot:
    """Answers against the truth, and the mean absolute error of tenths of the split by the size of the number."""
    truth, given = [x for x, _ in row["points"]], [y for _, y in row["points"]]
    ends = (min(truth + given), max(truth + given))
    against = Axes(
        f"{name}, true",
        f"{name}, answered",
        [
            Series("right", ends, ends, "dashed", tone="muted"),
            Series(f"test {unit}" if len(truth) > 1 else "", truth, given, "points"),
        ],
    )
    middle = [(part["low"] + part["high"]) / 2 for part in row["by_size"]]
    errors = Axes(
        f"{name}, true (middle of a tenth of the {unit})",
        "error",
        [
            Series("no error", (middle[0], middle[-1]), (0, 0), "dashed", tone="muted"),
            Series("mean absolute error", middle, [part["mean_absolute_error"] for part in row["by_size"]], "joined"),
            Series("bias", middle, [part["bias"] for part in row["by_size"]], "joined", tone="second"),
        ],
    )
    return Plot(f"{name}: answers against the truth, and errors by size", (against, errors))


def worst(names: Sequence[str], encoded: np.ndarray, answers: np.ndarray, scores: np.ndarray, unit: str) -> Section:
    """The examples with the largest errors, in standard deviations.

    Args:
        names: of the columns.
        encoded: float [n, k], true numbers.
        answers: float [n, k]; examples where one is no finite number are not shown.
        scores: float [n], errors below 0.
        unit: what several examples are called.
    """
    valid = np.flatnonzero(np.isfinite(answers).all(axis=1))
    places = valid[np.lexsort((valid, scores[valid]))][:_MOST_MISTAKES].tolist()

    def told(row: np.ndarray) -> str:
        if len(names) == 1:
            return f"{row[0]:.6g}"
        return ", ".join(f"{name} {value:.6g}" for name, value in zip(names, row, strict=True))

    shown = [Shown(i, (f"answered: {told(answers[i])}", f"true: {told(encoded[i])}")) for i in places]
    words = f"The largest errors of {len(encoded)} test {unit}, the largest first:"
    return Section("mistakes", "Worst mistakes", [Text(words), Examples(shown)])


def rivals(figures: Mapping[str, Any], limits: Mapping[str, Any], unit: str) -> list[Block]:
    """The candidate beside the served model and the best one so far; arguments as of `label_page.rivals`."""
    titles = ("mean absolute error", "its score on the columns both know", "this run's there", "fall (interval)")
    table = label_page.beside(figures, titles, figures["candidate"]["mean_absolute_error"], "mean_absolute_error")
    note = (
        f"The score is the mean absolute error in standard deviations of the training split, below 0, on the same "
        f"{figures['candidate']['examples']} test {unit}. A fall whose interval holds 0 may be luck. "
        f"{label_page.gated(limits)}"
    )
    return [table, Text(note, note=True)]


def card(figures: Mapping[str, Any], unit: str) -> Card:
    """For the model card."""
    columns = list(figures["per_column"])
    whole: list[tuple] = [(f"{unit} (n)", figures["examples"], "")]
    whole += [(words, _told(figures[name]), _interval(figures, name, "")) for name, words in _NAMES.items()]
    limits = ["It answers with numbers like those it was trained on; far beyond them it was never measured."]
    for name, row in figures["per_column"].items():
        if row["by_size"]:
            part = max(row["by_size"], key=lambda part: part["mean_absolute_error"])
            limits.append(
                f"Weakest where {name} is {_told(part['low'])} to {_told(part['high'])}: mean absolute error "
                f"{_told(part['mean_absolute_error'])} over {part['count']} {unit}."
            )
    heads = [Column("figure"), Column("value", "number", 4), Column("95 % interval", "number")]
    return Card(
        description=f"A regression on {unit}: {len(columns)} number{'s' if len(columns) > 1 else ''} for each "
        f"({', '.join(columns)}).",
        figures=[Table(heads, whole), *([by_column(figures)] if len(columns) > 1 else [])],
        limits=limits,
        signature="values, in the units of the data, and columns, their names",
    )


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _interval(figures: Mapping[str, Any], name: str, before: str = "95 % interval ") -> str:
    interval = figures[f"{name}_interval"]
    return f"{before}{interval[0]:.4g} to {interval[1]:.4g}" if interval else "not measured"
