"""The plot of `graft demo drift`: quality by day with its interval, and the moments of alarm, retraining and push."""

import dataclasses
import io
import pathlib
import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from graft.models.durable import write_atomic
from graft.monitoring.demo import verdict

NAME = "drift.png"
# Okabe and Ito, Color Universal Design (2008): told apart with every kind of colour vision.
_VERSIONS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00")
_ALARM, _RUN, _MUTED, _CHANGED = "#D55E00", "#000000", "#6b6b6b", "#f3ead9"
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_DOTS_PER_INCH = 160
_WORDS_LINE = 30
"""Characters; more go into another line."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What there is to draw.

    Attributes:
        days: quality by version: day, mean, and how far the interval goes below and above it.
        estimates: day and mean of the estimate without labels.
        changed: first and last day of changed pictures; None where there is none.
        alarms: days with an alarm of their requests.
        late: days with an alarm of labels, those of the day before.
        runs: for each retraining its day, words, and whether a version was pushed.
    """

    days: dict[int | None, list[tuple[int, float, float, float]]]
    estimates: list[tuple[int, float]]
    changed: tuple[int, int] | None
    alarms: list[int]
    late: list[int]
    runs: list[tuple[int, str, bool]]


def drawn(value: Mapping[str, Any]) -> Drawn:
    """What there is to draw of the story's result."""
    days: dict[int | None, list[tuple[int, float, float, float]]] = {}
    for day in value["days"]:
        quality = day["quality"]
        bars = (quality["mean"] - quality["low"], quality["high"] - quality["mean"])
        days.setdefault(day["version"], []).append((day["day"], quality["mean"], *bars))
    changed = [day["day"] for day in value["days"] if day["changed"]]
    return Drawn(
        days=days,
        estimates=[(day["day"], day["estimate"]["mean"]) for day in value["days"] if day["estimate"]],
        changed=(changed[0], changed[-1]) if changed else None,
        alarms=[day["day"] for day in value["days"] if verdict.alarms(day, "requests")],
        late=[day["day"] for day in value["days"] if verdict.alarms(day, "labels")],
        runs=[(day["day"], *_words(day["retraining"])) for day in value["days"] if day["retraining"]],
    )


def _words(made: Mapping[str, Any]) -> tuple[str, bool]:
    version = made["model_version"]
    return (f"retraining;\npush of version {version}", True) if version is not None else ("retraining;\nno push", False)


def write(value: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws it as a PNG file, whole or not at all."""
    written = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = _figure(drawn(value), value)
        FigureCanvasAgg(figure)
        figure.savefig(written, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_atomic(path, written.getvalue())


def _figure(found: Drawn, value: Mapping[str, Any]) -> Figure:
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    axes = figure.subplots()
    last = len(value["days"])
    axes.set(xlim=(0.5, last + 0.5), ylim=(0, 1.14), xlabel="simulated day", ylabel="right answers, share of the day")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    if found.changed is not None:
        begin, end = found.changed[0] - 0.5, found.changed[1] + 0.5
        axes.axvspan(begin, end, color=_CHANGED, linewidth=0, zorder=0)
        words = textwrap.fill(f"pictures {value['change']}", _WORDS_LINE)
        axes.text(begin + 0.06, 0.02, words, color=_MUTED, fontsize=8)
    for place, (version, days) in enumerate(found.days.items()):
        colour = _VERSIONS[place % len(_VERSIONS)]
        x, mean, below, above = zip(*days, strict=True)
        name = f"version {version}" if version is not None else "version not known"
        axes.errorbar(x, mean, [below, above], color=colour, marker="o", markersize=4, capsize=3, label=name)
    if found.estimates:
        x, mean = zip(*found.estimates, strict=True)
        axes.plot(x, mean, "D", color=_MUTED, markersize=4, fillstyle="none", label="estimate without labels")
    alarms = ((found.alarms, -0.08, "full", "alarm"), (found.late, 0.08, "none", "alarm by labels of the day before"))
    for raised, beside, fill, name in alarms:
        if raised:
            at = [day + beside for day in raised]
            axes.plot(at, [1.07] * len(at), "v", color=_ALARM, markersize=7, fillstyle=fill, label=name)
    for day, words, pushed in found.runs:
        style = "-" if pushed else ":"
        axes.plot([day + 0.5] * 2, [0, 1.14], style, color=_RUN, linewidth=1.2)
        beside, side = (0.44, "right") if day == last else (0.56, "left")
        axes.text(day + beside, 0.6, words, ha=side, va="center", fontsize=8, color=_RUN)
    sure = 1 - value["miss"]
    axes.set_title(f"A shift, found and learned: quality by day, bars {sure:.0%} intervals", loc="left", fontsize=10)
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure
