"""What a report shows of one label: figures of a test split as tables, a matrix, plots and words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.models.page import (
    Axes,
    Block,
    Card,
    Cell,
    Column,
    Examples,
    Matrix,
    Pair,
    Plot,
    Section,
    Series,
    Shown,
    Table,
    Text,
    Tile,
)

_MOST_MISTAKES, _MOST_CONFUSED = 12, 5
_BINS = 15


def tiles(figures: Mapping[str, Any]) -> list[Tile]:
    """Accuracy with its interval, macro F1, calibration error."""
    low, high = wilson(figures["accuracy"], figures["examples"])
    interval = f"95 % interval {low:.3f} to {high:.3f}, n = {figures['examples']}"
    return [
        Tile("test accuracy", f"{figures['accuracy']:.3f}", interval),
        Tile("macro F1", f"{figures['macro_f1']:.3f}", f"{len(figures['per_class'])} classes"),
        Tile("calibration error", f"{figures['calibration_error']:.3f}", f"expected, {_BINS} bins"),
    ]


def sections(figures: Mapping[str, Any], unit: str) -> list[Section]:
    """Quality by class with the confusion matrix, and calibration."""
    return [
        Section("quality", "Quality on the test split", _quality(figures, unit)),
        Section("calibration", "Calibration", _calibration(figures, unit)),
    ]


def _quality(figures: Mapping[str, Any], unit: str) -> list[Block]:
    names, one = list(figures["per_class"]), unit.removesuffix("s")
    matrix = Matrix(
        title="Confusion matrix",
        names=names,
        counts=figures["confusion"],
        row_title="true class",
        column_title=f"predicted class (number of {unit})",
        alt="Confusion matrix",
    )
    blocks: list[Block] = [Pair([by_class(figures, unit, "By class")], [matrix])]
    if figures["unmeasured"]:
        missing = ", ".join(figures["unmeasured"])
        blocks.append(Text(f"Not measured, for the test split has no {one} of them: {missing}."))
    if figures["invalid"]:
        blocks.append(
            Text(
                f"{figures['invalid']} test {unit} got probabilities that are not finite numbers; they count as wrong."
            )
        )
    if pairs := _confused(names, figures["confusion"]):
        told = "; ".join(
            f"{actual} taken for {predicted} {count} times ({100 * share:.0f} %)"
            for count, actual, predicted, share in pairs[:_MOST_CONFUSED]
        )
        blocks.append(Text(f"Most often confused: {told}."))
    return blocks


def by_class(figures: Mapping[str, Any], unit: str, title: str = "") -> Table:
    """Precision, recall, F1 and number of examples of each class."""
    columns = [Column("class"), *(Column(name, "number") for name in ("precision", "recall", "F1", unit))]
    rows = [
        (name, row["precision"], row["recall"], row["f1"], row["support"]) for name, row in figures["per_class"].items()
    ]
    return Table(columns, rows, title)


def _confused(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[tuple[int, str, str, float]]:
    """Count, true class, predicted class and share of the true class, the largest count first."""
    pairs = [
        (count, names[i], names[j], count / max(sum(row), 1))
        for i, row in enumerate(matrix)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))


def _calibration(figures: Mapping[str, Any], unit: str) -> list[Block]:
    bins, n = figures["reliability"], figures["examples"]
    if not bins:
        return [Text("Not measured: a probability is no finite number.")]
    low, high = figures["calibration_interval"]
    above, confident = ("above", "over") if excess(figures) > 0 else ("below", "under")
    words = Text(
        f"Expected calibration error {figures['calibration_error']:.3f} ({_BINS} equal-width bins); with {n} {unit} a "
        f"perfectly calibrated model would score {figures['calibration_bias']:.3f} by chance. True errors that go with "
        f"this figure in 95 % of test splits: {low:.3f} to {high:.3f}. Mean confidence is {abs(excess(figures)):.3f} "
        f"{above} accuracy: the model is {confident}confident on the whole."
    )
    return [words, reliability(bins, unit)]


def excess(figures: Mapping[str, Any]) -> float:
    """Mean confidence minus accuracy."""
    bins = figures["reliability"]
    return sum(b["count"] * (b["confidence"] - b["accuracy"]) for b in bins) / max(figures["examples"], 1)


def reliability(
    bins: Sequence[Mapping[str, float]],
    unit: str,
    share: str = "",
    probability: str = "confidence (probability of the predicted class)",
) -> Plot:
    """Accuracy against confidence in bins of a probability, and what each bin holds.

    Args:
        bins: those that hold something: `low`, `high`, `count`, `confidence`, `accuracy`.
        unit: what is counted.
        share: label of the accuracy; empty for that of examples.
        probability: label of the confidence.
    """
    low, count, confidence, accuracy = ([b[name] for b in bins] for name in ("low", "count", "confidence", "accuracy"))
    width = [b["high"] - b["low"] for b in bins]
    upper = Axes(
        "",
        share or f"accuracy (share of {unit})",
        [
            Series("perfectly calibrated", (0, 1), (0, 1), "dashed", tone="muted"),
            Series("accuracy", low, accuracy, "bars", width=width),
            Series("gap to confidence", confidence, accuracy, "gaps", to=confidence, tone="second"),
            Series("", confidence, accuracy, "points"),
        ],
        y_range=(0, 1.02),
    )
    lower = Axes(
        probability,
        unit,
        [Series("", low, count, "bars", width=width, tone="muted")],
        x_range=(0, 1),
        whole="y",
    )
    return Plot("Reliability diagram", (upper, lower), stacked=True)


def worst(names: Sequence[str], encoded: np.ndarray, predicted: np.ndarray, answers: np.ndarray, unit: str) -> Section:
    """The most confident wrong answers.

    Args:
        names: of the classes.
        encoded: int [n], the true classes.
        predicted: int [n], the most probable ones; -1 where there is none.
        answers: float [n, k], probabilities.
        unit: what several examples are called.
    """
    confidence = answers.max(axis=1)
    wrong = np.flatnonzero((predicted != encoded) & (predicted >= 0))
    blocks: list[Block] = [Text(f"None: all {len(encoded)} test {unit} were classified right.")]
    if len(wrong):
        places = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MOST_MISTAKES].tolist()
        shown = [Shown(i, (f"{names[predicted[i]]} {confidence[i]:.3f}", f"true: {names[encoded[i]]}")) for i in places]
        words = f"{len(wrong)} of {len(encoded)} test {unit} were classified wrong; the most confident of them:"
        blocks = [Text(words), Examples(shown)]
    return Section("mistakes", "Worst mistakes", blocks)


def rivals(figures: Mapping[str, Any], limits: Mapping[str, Any], unit: str) -> list[Block]:
    """The candidate beside the served model and the best one so far.

    Args:
        figures: figures.json of the quality gate, with a `baseline` that can be compared.
        limits: section `gates` of the configuration.
        unit: what several examples are called.
    """
    served = figures["baseline"]
    titles = (f"accuracy on all {unit}", "its accuracy on the classes both know", "this run's there", "fall (interval)")
    note = (
        f"All on the same {figures['candidate']['examples']} test {unit}, of which {served['examples']} show a class "
        f"that the served model knows. A fall whose interval holds 0 may be luck. {gated(limits)}"
    )
    table = beside(figures, titles, figures["candidate"]["accuracy"], "accuracy")
    return [table, Text(note, note=True), *changed_classes(served)]


def beside(figures: Mapping[str, Any], titles: Sequence[str], candidate: float, name: str) -> Table:
    """This run, the served model and the best one so far, a row each.

    Args:
        figures: figures.json of the quality gate.
        titles: of the columns after the model's name: the figure over all examples, the scores of rival and candidate
            where they can be compared, the fall.
        candidate: the candidate's figure over all examples.
        name: of that figure among a rival's.
    """
    served, best = figures["baseline"], figures.get("best")
    others = [("served", served)]
    if best and best["version"] != served["version"] and best.get("comparable", True):
        others.append(("best", best))
    rows: list[tuple[Cell, ...]] = [("this run", candidate, "", "", "")]
    for kind, rival in others:
        fall = ""
        if rival["examples"]:
            low, high = rival["interval"]
            fall = f"{rival['gap']:+.4f} ({low:+.3f} to {high:+.3f})"
        rows.append((f"{kind} version {rival['version']}", rival[name], rival["rival"], rival["candidate"], fall))
    return Table([Column("model"), *(Column(title, "number", 4) for title in titles)], rows)


def gated(limits: Mapping[str, Any]) -> str:
    """How far the candidate may fall behind, a sentence."""
    tolerance = limits.get("baseline_tolerance")
    if tolerance is None:
        return "Not gated: gates.baseline_tolerance is null."
    return f"Tolerated fall: {tolerance:.6g}."


def changed_classes(served: Mapping[str, Any]) -> list[Block]:
    """How the list of classes differs from the served model's; empty where it does not."""
    changed = [(word, served[key]) for word, key in (("New", "added"), ("Gone", "removed")) if served.get(key)]
    told = " ".join(f"{word}: {', '.join(names)}." for word, names in changed)
    return [Text(f"The list of classes changed. {told}")] if changed else []


def card(figures: Mapping[str, Any], unit: str) -> Card:
    """For the model card."""
    low, high = wilson(figures["accuracy"], figures["examples"])
    one = unit.removesuffix("s")
    whole = [
        (f"{unit} (n)", figures["examples"]),
        ("accuracy", figures["accuracy"]),
        ("95 % interval of the accuracy (Wilson)", f"{low:.3f} to {high:.3f}"),
        ("macro F1", figures["macro_f1"]),
        ("expected calibration error", figures["calibration_error"]),
        ("the same of a perfectly calibrated model, by chance", figures["calibration_bias"]),
    ]
    limits = [f"It knows the classes above only; any other {one} gets one of these labels too."]
    measured = [(row["recall"], name, row["support"]) for name, row in figures["per_class"].items() if row["support"]]
    if measured:
        recall, name, support = min(measured, key=lambda row: row[0])
        limits.append(f"Weakest class: {name}, {100 * recall:.0f} % of its {support} {unit} found.")
    if figures["unmeasured"]:
        limits.append(f"Not measured, for the test split has no {one} of them: {', '.join(figures['unmeasured'])}.")
    if figures["reliability"]:
        above = "above" if excess(figures) > 0 else "below"
        limits.append(
            f"Its mean confidence is {abs(excess(figures)):.3f} {above} its accuracy; a probability is not the chance "
            "of being right."
        )
    return Card(
        description=f"A classifier of {unit}: one label of {len(figures['per_class'])} for each, with a probability "
        "for each class.",
        figures=[Table([Column("figure"), Column("value", "number", 4)], whole), by_class(figures, "n")],
        limits=limits,
        signature="classes, probabilities, scores and label",
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n independent trials (Wilson, JASA 22, 1927).

    Args:
        share: observed, 0 to 1.
        n: number of trials, above 0.
    """
    z = 1.959964
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
