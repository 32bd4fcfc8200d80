"""Plots of the report, as data URIs of SVG: nothing inside such an image can run or name anything outside it."""

import base64
import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito, Color Universal Design (2008): told apart with every kind of colour vision.
BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#6b6b6b"

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "graft",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def learning_curves(history: dict[str, Any]) -> str:
    """Loss and accuracy by epoch, train against eval.

    Args:
        history: as the trainer writes it: `epochs` (at least one; `loss`, `accuracy`, `val_loss`, `val_accuracy`,
            `phase`), `best_epoch` (from 1).

    Returns:
        a data URI.
    """
    epochs = history["epochs"]
    x = np.arange(1, len(epochs) + 1)
    starts = [i for i in range(len(epochs)) if i == 0 or epochs[i]["phase"] != epochs[i - 1]["phase"]]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.1), layout="constrained")
        for axes, name, title in (
            (figure.add_subplot(1, 2, 1), "loss", "loss (cross-entropy, nats)"),
            (figure.add_subplot(1, 2, 2), "accuracy", "accuracy (share of images)"),
        ):
            axes.plot(x, [e[name] for e in epochs], color=BLUE, marker=".", label="train")
            axes.plot(x, [e[f"val_{name}"] for e in epochs], color=VERMILLION, marker=".", label="eval")
            best = history["best_epoch"]
            axes.axvline(best, color=GREY, linestyle="--", linewidth=1, label=f"best epoch, {best}")
            for start in starts:
                if start:
                    axes.axvline(start + 0.5, color=GREY, linestyle=":", linewidth=1)
                axes.annotate(
                    epochs[start]["phase"].replace("_", " "),
                    (start + 0.6, 1.02),
                    xycoords=("data", "axes fraction"),
                    color=GREY,
                    parse_math=False,
                )
            axes.set_xlabel("epoch")
            axes.set_ylabel(title)
            axes.set_xlim(0.5, len(epochs) + 0.5)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if name == "accuracy":
                axes.set_ylim(0, 1.02)
            axes.legend(frameon=False, loc="best")
        return _uri(figure)


def strengths(path: list[dict[str, Any]], chosen: int) -> str:
    """Loss and accuracy along a path of L2 strengths, train against eval.

    Args:
        path: at least one step, as `models.logistic.Step`.
        chosen: index of the step whose weights were taken.

    Returns:
        a data URI.
    """
    x = [step["l2"] for step in path]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3.1), layout="constrained")
        for axes, name, title in (
            (figure.add_subplot(1, 2, 1), "loss", "loss (cross-entropy, nats)"),
            (figure.add_subplot(1, 2, 2), "accuracy", "accuracy (share of images)"),
        ):
            axes.semilogx(x, [step[name] for step in path], color=BLUE, marker=".", label="train")
            axes.semilogx(x, [step[f"val_{name}"] for step in path], color=VERMILLION, marker=".", label="eval")
            axes.axvline(x[chosen], color=GREY, linestyle="--", linewidth=1, label=f"chosen, {x[chosen]:.2g}")
            axes.invert_xaxis()
            axes.set_xlabel("L2 strength (strong to weak)")
            axes.set_ylabel(title)
            axes.set_ylim(0, 1.02 if name == "accuracy" else None)
            axes.legend(frameon=False, loc="best")
        return _uri(figure)


def reliability(bins: list[dict[str, float]]) -> str:
    """Accuracy against confidence in bins of the top probability, and how many images each bin holds.

    Args:
        bins: those that hold images: `low`, `high`, `count`, `confidence`, `accuracy`.

    Returns:
        a data URI.
    """
    low, high, count, confidence, accuracy = (
        np.array([row[name] for row in bins]) for name in ("low", "high", "count", "confidence", "accuracy")
    )
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.8, 4.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
        upper.bar(
            low, accuracy, width=high - low, align="edge", color=BLUE, alpha=0.35, edgecolor=BLUE, label="accuracy"
        )
        upper.vlines(confidence, accuracy, confidence, color=VERMILLION, linewidth=2, label="gap to confidence")
        upper.plot(confidence, accuracy, color=BLUE, marker="o", markersize=3.5, linestyle="none")
        upper.set_ylabel("accuracy (share of images)")
        upper.set_ylim(0, 1.02)
        figure.legend(frameon=False, loc="outside upper left", ncols=3, fontsize=8, columnspacing=1.2)
        lower.bar(low, count, width=high - low, align="edge", color=GREY, alpha=0.6, edgecolor="white")
        lower.set_ylabel("images")
        lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        lower.set_xlabel("confidence (probability of the predicted class)")
        lower.set_xlim(0, 1)
        return _uri(figure)


def confusion(matrix: list[list[int]]) -> str:
    """The confusion matrix of many classes, by number; each row as shares of its true class.

    Args:
        matrix: counts, rows are true classes, columns predicted ones.

    Returns:
        a data URI.
    """
    counts = np.array(matrix, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6, 5.2), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.set_xlabel("predicted class (number)")
        axes.set_ylabel("true class (number)")
        figure.colorbar(image, ax=axes, label="share of the true class")
        return _uri(figure)


def _uri(figure: Figure) -> str:
    written = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(written.getvalue()).decode()
