"""What a report shows of several labels."""

import numpy as np
import pytest

from graft.models.page import Examples, Plot, Table, Text
from graft.models.targets import make_target, parse_options
from graft.pipeline import plots

NAMES = ("cat", "dog", "eel")


@pytest.fixture
def target():
    return make_target(parse_options({"kind": "labels"}), NAMES, {"thresholds": [0.5, 0.4, 0.6]})


def sample(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 3)) < [0.3, 0.5, 0.2]).astype(np.float32)
    return truth, (truth * 0.4 + rng.random((n, 3)) * 0.6).astype(np.float32)


def test_tiles_hold_the_figures_of_the_whole(target):
    figures = target.figures(*sample())
    precision, f1, _ = target.tiles(figures)
    assert (precision.name, precision.value) == ("mean average precision", f"{figures['mean_average_precision']:.3f}")
    assert (f1.value, f1.note) == (f"{figures['micro_f1']:.3f}", "3 classes, at their thresholds")


def test_the_table_by_class_holds_thresholds_and_the_curve_is_drawn(target):
    figures = target.figures(*sample())
    quality, calibration = target.sections(figures, "images")
    table = next(block for block in quality.blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == list(NAMES)
    assert [column.title for column in table.columns][1:3] == ["average precision", "precision"]
    assert [row[5] for row in table.rows] == pytest.approx([0.5, 0.4, 0.6])
    for section in (quality, calibration):
        plot = next(block for block in section.blocks if isinstance(block, Plot))
        assert plots.draw(plot).startswith("data:image/svg+xml")
    curve = next(block for block in quality.blocks if isinstance(block, Plot)).axes[0].series[1]
    assert list(curve.y) == sorted(curve.y, reverse=True)


def test_what_was_not_measured_is_said(target):
    truth, given = np.float32([[1, 0, 0], [1, 0, 0]]), np.float32([[0.9, 0.1, 0.1], [np.nan, 0, 0]])
    quality, calibration = target.sections(target.figures(truth, given), "texts")
    assert Text("Not measured, for the test split has no text of them: dog, eel.") in quality.blocks
    assert Text("1 test texts got probabilities that are not finite numbers; they count as wrong.") in quality.blocks
    assert calibration.blocks == [Text("Not measured: a probability is no finite number.")]


def test_the_worst_have_the_lowest_f1_and_then_the_surest_mistake(target):
    truth = np.float32([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]])
    given = np.float32([[0.9, 0, 0], [0.9, 0.1, 0], [0.1, 0.45, 0], [0, 0.99, 0.1], [np.nan, 0, 0]])
    words, examples = target.worst(truth, given, "images").blocks
    assert isinstance(examples, Examples) and [shown.place for shown in examples.rows] == [3, 2, 1]
    assert examples.rows[0].captions == ("found: dog", "true: eel")
    assert examples.rows[2].captions == ("found: cat", "true: cat, dog")
    assert words.text.startswith("3 of 5 test images have a wrong or a missing label")
    [none] = target.worst(truth[:1], given[:1], "images").blocks
    assert none == Text("None: all labels of all 1 test images are right.")


def test_rivals_stand_beside_the_run(target):
    truth, given = sample()
    served = {"version": 4, "comparable": True, **target.compare(truth, given, target, given)}
    figures = {"candidate": target.figures(truth, given), "baseline": served, "best": served}
    table, note = target.rivals(figures, {"baseline_tolerance": 0.02}, "images")
    assert [row[0] for row in table.rows] == ["this run", "served version 4"]
    assert table.rows[0][1] == table.rows[1][1]
    assert "the 3 classes" in note.text and note.text.endswith("Tolerated fall: 0.02.")


def test_the_card_names_the_weakest_class(target):
    figures = target.figures(*sample())
    card = target.card(figures, "images")
    weakest = min(figures["per_class"], key=lambda name: figures["per_class"][name]["recall"])
    assert any(line.startswith(f"Weakest class: {weakest}, ") for line in card.limits)
    assert card.figures[0].rows[0] == ("images (n)", 40)
