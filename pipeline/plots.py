"""Plots described as data (`models.page`), drawn as data URIs of SVG, or into a file of their own.

Nothing inside such an image can run or name anything outside it.
"""

import base64
import io
import pathlib
import textwrap

import matplotlib
import numpy as np
from matplotlib.axes import Axes as Drawing
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from graft.models.durable import write_atomic
from graft.models.page import Axes, Matrix, Plot, Series

# Okabe and Ito, Color Universal Design (2008): told apart with every kind of colour vision.
_TONES = {
    "first": "#0072B2",
    "second": "#D55E00",
    "third": "#009E73",
    "fourth": "#CC79A7",
    "fifth": "#E69F00",
    "sixth": "#56B4E9",
    "muted": "#6b6b6b",
}
_MUTED = _TONES["muted"]
_LINE = 40
"""Characters of a label beside an axis; more go into another line."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "graft",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


SUFFIX = ".png"
"""Of files that `write` makes."""
_DOTS_PER_INCH = 160


def draw(plot: Plot) -> str:
    """A plot as a data URI."""
    with matplotlib.rc_context(_STYLE):
        return _uri(_figure(plot))


def write(plot: Plot, path: pathlib.Path) -> None:
    """A plot as a PNG file, whole or not at all."""
    written = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = _figure(plot)
        figure.set_dpi(_DOTS_PER_INCH)
        FigureCanvasAgg(figure).print_png(written)
    write_atomic(path, written.getvalue())


def _figure(plot: Plot) -> Figure:
    if plot.stacked:
        figure = Figure(figsize=(4.8, 4.4), layout="constrained")
        drawings = figure.subplots(len(plot.axes), 1, sharex=True, height_ratios=(3, *(1 for _ in plot.axes[1:])))
    else:
        width, height = (9, 3.1) if len(plot.axes) > 1 else (7.2, 4.0) if plot.wide else (4.8, 3.1)
        figure = Figure(figsize=(width, height), layout="constrained")
        drawings = figure.subplots(1, len(plot.axes))
    for drawing, axes in zip(np.atleast_1d(drawings), plot.axes, strict=True):
        _draw(drawing, axes)
        if not plot.stacked and drawing.get_legend_handles_labels()[1]:
            drawing.legend(frameon=False, loc="best")
    if plot.stacked:
        figure.legend(frameon=False, loc="outside upper left", ncols=3, fontsize=8, columnspacing=1.2)
    return figure


def matrix(found: Matrix) -> str:
    """A matrix of many names, by number; each row as shares of its own."""
    counts = np.array(found.counts, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6, 5.2), layout="constrained")
        drawing = figure.add_subplot()
        shown = drawing.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        drawing.set_xlabel(_plain(f"{found.column_title.partition(' (')[0]} (number)"), parse_math=False)
        drawing.set_ylabel(_plain(f"{found.row_title} (number)"), parse_math=False)
        figure.colorbar(shown, ax=drawing, label=_plain(f"share of the {found.row_title}"))
        return _uri(figure)


def _draw(drawing: Drawing, axes: Axes) -> None:
    if axes.log_x:
        drawing.set_xscale("log")
    for series in axes.series:
        _add(drawing, series)
    for x, name in axes.lines:
        drawing.axvline(x, color=_MUTED, linestyle="--", linewidth=1, label=_plain(name) or None)
    for place, (x, text) in enumerate(axes.notes):
        if place:
            drawing.axvline(x, color=_MUTED, linestyle=":", linewidth=1)
        drawing.annotate(
            text, (x, 1.02), xytext=(2, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=_MUTED, parse_math=False,
        )  # fmt: skip
    drawing.set_xlabel(axes.x_label, parse_math=False)
    drawing.set_ylabel(textwrap.fill(axes.y_label, _LINE), parse_math=False)
    if axes.x_range:
        drawing.set_xlim(*axes.x_range)
    if axes.y_range:
        drawing.set_ylim(*axes.y_range)
    if axes.ticks:
        drawing.xaxis.set_major_locator(FixedLocator([x for x, _ in axes.ticks]))
        drawing.xaxis.set_minor_locator(NullLocator())
        drawing.set_xticklabels([text for _, text in axes.ticks], parse_math=False)
    if axes.falling_x:
        drawing.invert_xaxis()
    if "x" in axes.whole:
        drawing.xaxis.set_major_locator(MaxNLocator(integer=True))
    if "y" in axes.whole:
        drawing.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))


def _add(drawing: Drawing, series: Series) -> None:
    colour, label = _TONES[series.tone], _plain(series.name) or None
    x, y = np.asarray(series.x, float), np.asarray(series.y, float)
    if series.style == "bars":
        muted = series.tone == "muted"
        drawing.bar(
            x, y, width=np.asarray(series.width, float), align="edge", color=colour, label=label,
            alpha=0.6 if muted else 0.35, edgecolor="white" if muted else colour,
        )  # fmt: skip
    elif series.style == "gaps":
        drawing.vlines(x, y, np.asarray(series.to, float), color=colour, linewidth=2, label=label or "")
    elif series.style == "points":
        drawing.plot(x, y, color=colour, marker="o", markersize=3.5, linestyle="none", label=label)
    elif series.style == "dashed":
        drawing.plot(x, y, color=colour, linestyle="--", linewidth=1, label=label)
    else:
        drawing.plot(x, y, color=colour, marker="." if series.style == "joined" else None, label=label)


def _plain(text: str) -> str:
    """Text of a legend, in which `$` would begin a formula and a leading `_` would hide the entry."""
    return text.replace("$", r"\$").lstrip("_")


def _uri(figure: Figure) -> str:
    written = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(written.getvalue()).decode()
