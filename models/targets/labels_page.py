"""What a report shows of several labels: figures of a test split as tables, plots and words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.models.page import Axes, Block, Card, Column, Examples, Plot, Section, Series, Shown, Table, Text, Tile
from graft.models.targets import label_page

_MOST_MISTAKES = 12


def tiles(figures: Mapping[str, Any]) -> list[Tile]:
    """Mean average precision, micro F1, calibration error."""
    return [
        Tile("mean average precision", _told(figures["mean_average_precision"]), f"n = {figures['examples']}"),
        Tile("micro F1", _told(figures["micro_f1"]), f"{len(figures['per_class'])} classes, at their thresholds"),
        Tile("calibration error", _told(figures["calibration_error"]), "expected, 15 bins, all decisions"),
    ]


def sections(figures: Mapping[str, Any], unit: str) -> list[Section]:
    """Quality by class with the precision-recall curve, and calibration."""
    return [
        Section("quality", "Quality on the test split", _quality(figures, unit)),
        Section("calibration", "Calibration", _calibration(figures, unit)),
    ]


def _quality(figures: Mapping[str, Any], unit: str) -> list[Block]:
    one = unit.removesuffix("s")
    words = (
        f"Over all decisions: precision {figures['micro_precision']:.3f}, recall {figures['micro_recall']:.3f}, F1 "
        f"{figures['micro_f1']:.3f}; mean F1 of the classes {figures['macro_f1']:.3f}, of the {unit} "
        f"{figures['example_f1']:.3f}. All labels of {100 * figures['all_right']:.0f} % of the {unit} are right; "
        f"there are {figures['labels_per_example']:.2f} labels a{'n' if one[0] in 'aeiou' else ''} {one}. "
        "Thresholds have the highest F1 on eval."
    )
    blocks: list[Block] = [Text(words), by_class(figures, unit, "By class")]
    if figures["curve"]:
        blocks.append(_curve(figures))
    if figures["unmeasured"]:
        missing = ", ".join(figures["unmeasured"])
        blocks.append(Text(f"Not measured, for the test split has no {one} of them: {missing}."))
    if figures["invalid"]:
        blocks.append(
            Text(
                f"{figures['invalid']} test {unit} got probabilities that are not finite numbers; they count as wrong."
            )
        )
    return blocks


def by_class(figures: Mapping[str, Any], unit: str, title: str = "") -> Table:
    """Average precision, and at its threshold precision, recall and F1 of each class."""
    names = ("average precision", "precision", "recall", "F1", "threshold", unit)
    keys = ("average_precision", "precision", "recall", "f1", "threshold", "support")
    columns = [Column("class"), *(Column(name, "number") for name in names)]
    rows = [(name, *(row[key] for key in keys)) for name, row in figures["per_class"].items()]
    return Table(columns, rows, title)


def _curve(figures: Mapping[str, Any]) -> Plot:
    """Precision against recall of all decisions together, and where the thresholds put each class."""
    points = [(row["recall"], row["precision"]) for row in figures["per_class"].values() if row["support"]]
    chance = sum(row["support"] for row in figures["per_class"].values()) / max(
        figures["examples"] * len(figures["per_class"]), 1
    )
    series = [
        Series("by chance", (0, 1), (chance, chance), "dashed", tone="muted"),
        Series("all decisions", [x for x, _ in figures["curve"]], [y for _, y in figures["curve"]]),
        Series("a class at its threshold", [x for x, _ in points], [y for _, y in points], "points", tone="second"),
    ]
    axes = Axes(
        "recall (share of the true labels)",
        "precision (share of those found)",
        series,
        x_range=(0, 1.02),
        y_range=(0, 1.02),
    )
    return Plot("Precision against recall", (axes,))


def _calibration(figures: Mapping[str, Any], unit: str) -> list[Block]:
    bins = figures["reliability"]
    if not bins:
        return [Text("Not measured: a probability is no finite number.")]
    low, high = figures["calibration_interval"]
    words = (
        f"Expected calibration error {figures['calibration_error']:.3f} over the decisions on all classes (15 "
        f"equal-width bins of the probability); with {figures['examples']} {unit} a perfectly calibrated model would "
        f"score {figures['calibration_bias']:.3f} by chance. True errors that go with this figure in 95 % of test "
        f"splits: {low:.3f} to {high:.3f}; decisions on one {unit.removesuffix('s')} go together."
    )
    share, probability = "share of decisions that are true", "probability of the class"
    return [Text(words), label_page.reliability(bins, "decisions", share, probability)]


def worst(
    names: Sequence[str], encoded: np.ndarray, found: np.ndarray, scores: np.ndarray, answers: np.ndarray, unit: str
) -> Section:
    """The examples with the lowest F1; of equal ones those with the most confident wrong decision.

    Args:
        names: of the classes.
        encoded: bool [n, k], the true classes.
        found: bool [n, k], those at or above their threshold.
        scores: float [n], F1 of each example.
        answers: float [n, k], probabilities; examples where one is no finite number are not shown.
        unit: what several examples are called.
    """
    valid = np.isfinite(answers).all(axis=1)
    sure = np.where(encoded == found, 0.0, np.abs(np.where(encoded, 1 - answers, answers))).max(axis=1)
    wrong = np.flatnonzero((encoded != found).any(axis=1) & valid)
    blocks: list[Block] = [Text(f"None: all labels of all {len(encoded)} test {unit} are right.")]
    if len(wrong):
        places = wrong[np.lexsort((wrong, -sure[wrong], scores[wrong]))][:_MOST_MISTAKES].tolist()
        shown = [Shown(i, (f"found: {_names(names, found[i])}", f"true: {_names(names, encoded[i])}")) for i in places]
        words = f"{len(wrong)} of {len(encoded)} test {unit} have a wrong or a missing label; the worst of them:"
        blocks = [Text(words), Examples(shown)]
    return Section("mistakes", "Worst mistakes", blocks)


def rivals(figures: Mapping[str, Any], limits: Mapping[str, Any], unit: str) -> list[Block]:
    """The candidate beside the served model and the best one so far; arguments as of `label_page.rivals`."""
    titles = ("mean average precision", "its mean F1 on the classes both know", "this run's there", "fall (interval)")
    candidate = figures["candidate"]["mean_average_precision"]
    table = label_page.beside(figures, titles, candidate, "mean_average_precision")
    note = (
        f"F1 is that of a test {unit.removesuffix('s')}, on the same {figures['candidate']['examples']} {unit} and the "
        f"{figures['baseline'].get('shared', 0)} classes that the served model knows too, each model at its own "
        f"thresholds. A fall whose interval holds 0 may be luck. {label_page.gated(limits)}"
    )
    return [table, Text(note, note=True), *label_page.changed_classes(figures["baseline"])]


def card(figures: Mapping[str, Any], unit: str) -> Card:
    """For the model card."""
    one = unit.removesuffix("s")
    whole = [
        (f"{unit} (n)", figures["examples"]),
        ("mean average precision", figures["mean_average_precision"]),
        ("micro F1", figures["micro_f1"]),
        ("macro F1", figures["macro_f1"]),
        (f"mean F1 of the {unit}", figures["example_f1"]),
        ("expected calibration error, all decisions", figures["calibration_error"]),
        ("the same of a perfectly calibrated model, by chance", figures["calibration_bias"]),
    ]
    limits = [
        f"It knows the classes above only, and none of them is an answer too: {one} without any label.",
        "Thresholds were chosen on the eval split; where labels are more or less common than there, others are better.",
    ]
    measured = [(row["recall"], name, row["support"]) for name, row in figures["per_class"].items() if row["support"]]
    if measured:
        recall, name, support = min(measured, key=lambda row: row[0])
        limits.append(f"Weakest class: {name}, {100 * recall:.0f} % of its {support} {unit} found.")
    if figures["unmeasured"]:
        limits.append(f"Not measured, for the test split has no {one} of them: {', '.join(figures['unmeasured'])}.")
    return Card(
        description=f"A classifier of {unit}: any number of {len(figures['per_class'])} labels for each, with a "
        "probability and a decision for each class.",
        figures=[Table([Column("figure"), Column("value", "number", 4)], whole), by_class(figures, "n")],
        limits=limits,
        signature="classes, probabilities, scores and predicted (whether a class reaches its threshold)",
    )


def _names(names: Sequence[str], there: np.ndarray) -> str:
    return ", ".join(name for name, is_there in zip(names, there, strict=True) if is_there) or "none"


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
