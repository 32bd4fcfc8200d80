"""What a report shows of one label."""

import numpy as np
import pytest

from graft.models.page import Examples, Text
from graft.models.targets import KINDS, label_page, make_target

NAMES = ("cat", "dog", "eel")


@pytest.fixture
def target():
    return make_target(KINDS.options("label")(), NAMES)


def answers(encoded: np.ndarray, wrong: dict[int, int]) -> np.ndarray:
    """Probabilities: sure of the true class, or of another; the later the surer."""
    predicted = np.array([wrong.get(i, label) for i, label in enumerate(encoded)])
    sure = np.linspace(0.5, 0.9, len(encoded))
    found = np.repeat((1 - sure[:, None]) / 2, 3, axis=1)
    found[np.arange(len(encoded)), predicted] = sure
    return found


def test_the_most_confident_mistakes_come_first(target):
    encoded = np.arange(12) % 3
    section = target.worst(encoded, answers(encoded, {3: 1, 7: 2}), "images")
    words, examples = section.blocks
    assert words == Text("2 of 12 test images were classified wrong; the most confident of them:")
    assert isinstance(examples, Examples)
    assert [(shown.place, shown.captions[1]) for shown in examples.rows] == [(7, "true: dog"), (3, "true: cat")]
    assert examples.rows[0].captions[0] == "eel 0.755"
    none = target.worst(encoded, answers(encoded, {}), "texts")
    assert none.blocks == [Text("None: all 12 test texts were classified right.")]


def test_an_answer_that_is_no_number_is_shown_as_invalid_not_as_a_mistake(target):
    encoded = np.arange(6) % 3
    found = answers(encoded, {})
    found[4] = np.nan
    assert len(target.worst(encoded, found, "images").blocks) == 1
    quality, calibration = target.sections(target.figures(encoded, found), "images")
    assert Text("1 test images got probabilities that are not finite numbers; they count as wrong.") in quality.blocks
    assert calibration.blocks == [Text("Not measured: a probability is no finite number.")]


def test_the_pairs_most_often_confused_are_named(target):
    encoded = np.array([0] * 4 + [1] * 4 + [2] * 4)
    quality, _ = target.sections(target.figures(encoded, answers(encoded, {0: 1, 1: 1, 8: 0})), "images")
    told = "Most often confused: cat taken for dog 2 times (50 %); eel taken for cat 1 times (25 %)."
    assert Text(told) in quality.blocks


def test_a_rival_without_shared_classes_has_no_fall():
    rival = {"version": 2, "accuracy": 0.5, "examples": 0, "added": [], "removed": ["x"]}
    rival |= dict.fromkeys(("candidate", "rival", "gap", "interval", "beyond_luck"))
    figures = {"candidate": {"examples": 9, "accuracy": 0.75}, "baseline": rival}
    table, note, changed = label_page.rivals(figures, {"baseline_tolerance": None}, "images")
    assert [row[0] for row in table.rows] == ["this run", "served version 2"]
    assert table.rows[1][1:] == (0.5, None, None, "")
    assert "Not gated" in note.text and changed.text == "The list of classes changed. Gone: x."
    better = figures | {"best": rival | {"version": 1, "examples": 5, "gap": 0.1, "interval": [0.0, 0.2]}}
    table, note, _ = label_page.rivals(better, {"baseline_tolerance": 0.02}, "images")
    assert table.rows[2][0] == "best version 1" and table.rows[2][4] == "+0.1000 (+0.000 to +0.200)"
    assert "Tolerated fall: 0.02." in note.text


def test_interval_of_a_share():
    """Newcombe (Statistics in Medicine 17, 1998), table I: 81 of 263, and 0 of 20."""
    assert label_page.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert label_page.wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
