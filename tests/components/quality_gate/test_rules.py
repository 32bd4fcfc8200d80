"""Every kind of gate: open, and closed."""

import json
import math

import numpy as np
import pytest

from graft.components.quality_gate import metrics, rules
from graft.pipeline.config import GateOptions

CLASSES = ["cat", "dog", "owl"]


@pytest.fixture
def figures() -> dict:
    """Of a model with accuracy 0.8: cats 4 of 5 right, dogs 4 of 5, no owl in the test split."""
    labels = np.array([0] * 5 + [1] * 5)
    predicted = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    return {
        "candidate": metrics.classification(labels, np.eye(3)[predicted], CLASSES),
        "model_size_mb": 12.0,
        "slices": {
            "camera": {
                "left": {"examples": 6, "accuracy": 0.9, "macro_f1": 0.9},
                "right": {"examples": 4, "accuracy": 0.5, "macro_f1": 0.4},
            }
        },
        "baseline": rival(3, 0.05),
        "best": rival(2, 0.07),
        "negative_transfer": {"beyond_luck": 0.05, "statement": "Transferring is worse."},
    }


def rival(version: int, fall: float, low: float = 0.01) -> dict:
    """A version of the store that is right on this much more than the candidate; below 0 the fall may be luck."""
    return {
        "version": version,
        "accuracy": 0.8 + fall,
        "classes": CLASSES,
        "added": [],
        "removed": [],
        "shared": {
            "classes": 3,
            "examples": 10,
            "candidate": 0.8,
            "rival": 0.8 + fall,
            "gap": fall,
            "interval": [low, 2 * fall - low],
            "beyond_luck": fall if low > 0 else min(fall, 0),
        },
    }


def judge(figures: dict, **limits) -> dict:
    """name -> gate, for limits as the configuration gives them; only those that are asked for."""
    options = GateOptions(**({"baseline_tolerance": None, "classes": "any"} | limits))
    found = {gate.name: gate for gate in rules.judge(figures, json.loads(options.model_dump_json()))}
    assert found.pop("invalid_answers").passed
    return found


def test_a_tie_is_met(figures):
    """0.8 - 0.1 is 0.7000000000000001."""
    figures["baseline"] = rival(3, 0.8 - 0.7)
    assert judge(figures, baseline_tolerance=0.1)["baseline"].passed
    assert not judge(figures, baseline_tolerance=0.099)["baseline"].passed


@pytest.mark.parametrize(
    ("limits", "name", "passed"),
    [
        ({"accuracy": 0.8}, "accuracy", True),
        ({"accuracy": 0.81}, "accuracy", False),
        ({"macro_f1": 0.8}, "macro_f1", True),
        ({"macro_f1": 0.81}, "macro_f1", False),
        ({"precision": 0.8}, "precision[cat]", True),
        ({"precision": 0.9}, "precision[cat]", False),
        ({"precision": {"dog": 0.8}}, "precision[dog]", True),
        ({"precision": {"dog": 0.9}}, "precision[dog]", False),
        ({"recall": 0.8}, "recall[dog]", True),
        ({"recall": 0.9}, "recall[dog]", False),
        ({"recall": {"cat": 0.8}}, "recall[cat]", True),
        ({"recall": {"cat": 0.9}}, "recall[cat]", False),
        ({"calibration_error": 0.2}, "calibration_error", True),
        ({"calibration_error": 0.19}, "calibration_error", False),
        ({"slices": {"camera": {"accuracy": 0.5, "min_examples": 1}}}, "accuracy[camera=right]", True),
        ({"slices": {"camera": {"accuracy": 0.6, "min_examples": 1}}}, "accuracy[camera=right]", False),
        ({"slices": {"camera": {"macro_f1": 0.4, "min_examples": 1}}}, "macro_f1[camera=right]", True),
        ({"slices": {"camera": {"macro_f1": 0.6, "min_examples": 1}}}, "macro_f1[camera=right]", False),
        ({"baseline_tolerance": 0.06}, "baseline", True),
        ({"baseline_tolerance": 0.04}, "baseline", False),
        ({"baseline_tolerance": 0.06, "baseline": "best"}, "baseline", True),
        ({"baseline_tolerance": 0.06, "baseline": "best"}, "baseline_best", False),
        ({"baseline_tolerance": 0.08, "baseline": "best"}, "baseline_best", True),
        ({"classes": "same"}, "classes", True),
        ({"model_size_mb": 12.0}, "model_size_mb", True),
        ({"model_size_mb": 11.9}, "model_size_mb", False),
        ({"negative_transfer": {"tolerance": 0.05}}, "negative_transfer", True),
        ({"negative_transfer": {"tolerance": 0.04}}, "negative_transfer", False),
    ],
)
def test_open_and_closed(figures, limits, name, passed):
    assert judge(figures, **limits)[name].passed is passed


def test_without_limits_there_are_no_gates(figures):
    assert judge(figures) == {}


def test_a_floor_for_all_classes_passes_over_those_without_examples(figures):
    assert set(judge(figures, recall=0.1)) == {"recall[cat]", "recall[dog]"}


def test_a_floor_for_one_class_counts_without_examples(figures):
    assert not judge(figures, recall={"owl": 0.1})["recall[owl]"].passed


def test_a_floor_for_an_unknown_class_closes(figures):
    gate = judge(figures, precision={"cow": 0.1})["precision[cow]"]
    assert not gate.passed and gate.value is None
    assert gate.detail == "no such class; classes: cat, dog, owl"


def test_a_small_slice_is_not_gated(figures):
    gates = judge(figures, slices={"camera": {"accuracy": 0.6, "min_examples": 5}})
    assert set(gates) == {"accuracy[camera=left]"}


def test_a_column_without_a_large_enough_slice_closes(figures):
    gate = judge(figures, slices={"camera": {"accuracy": 0.1, "min_examples": 7}})["slice[camera]"]
    assert not gate.passed
    assert gate.detail == "no slice of 'camera' has 7 test examples"


def test_no_baseline_no_gate(figures):
    nothing = {"baseline": None, "best": None}
    assert judge(figures | nothing, baseline_tolerance=0.0, baseline="best", classes="same") == {}


def test_the_baseline_gate_names_the_version(figures):
    gate = judge(figures, baseline_tolerance=0.0)["baseline"]
    assert gate.value == pytest.approx(0.05) and gate.limit == 0
    assert gate.detail == (
        "served version 3 is right on 0.8500 of 10 test images of the 3 classes both know, this model on 0.8000; "
        "the fall is +0.0500 (+0.0100 to +0.0900)"
    )


def test_a_fall_that_may_be_luck_is_none(figures):
    gate = judge(figures | {"baseline": rival(3, 0.05, low=-0.02)}, baseline_tolerance=0.0)["baseline"]
    assert gate.passed and gate.value == 0
    assert gate.detail.endswith("(-0.0200 to +0.1200): not distinguishable")


def test_a_baseline_that_knows_no_class_of_the_test_split_closes(figures):
    figures["baseline"]["shared"] |= {"examples": 0, "gap": None, "beyond_luck": None}
    gate = judge(figures, baseline_tolerance=1.0)["baseline"]
    assert not gate.passed and gate.value is None
    assert "knows no class of the test split" in gate.detail


@pytest.mark.parametrize(
    ("added", "removed", "open_for"),
    [([], [], ("same", "grow", "any")), (["emu"], [], ("grow", "any")), (["emu"], ["owl"], ("any",))],
    ids=["the same", "one more", "one gone"],
)
def test_a_changed_list_of_classes_is_gated_by_name(figures, added, removed, open_for):
    figures["baseline"] |= {"added": added, "removed": removed}
    for allowed in ("same", "grow"):
        gate = judge(figures, classes=allowed)["classes"]
        assert gate.passed is (allowed in open_for)
        assert all(name in gate.detail for name in added + removed)
    assert judge(figures, classes="any") == {}


def test_answers_that_are_no_numbers_close_whatever_the_limits(figures):
    labels = np.array([0, 0, 1])
    figures["candidate"] = metrics.classification(labels, np.full((3, 3), np.nan), CLASSES)
    found = {gate.name: gate for gate in rules.judge(figures, {"accuracy": 0.1})}
    assert not found["invalid_answers"].passed and found["invalid_answers"].value == 3
    assert not found["accuracy"].passed and found["accuracy"].value == 0


def test_the_calibration_gate_leaves_chance_out(figures):
    figures["candidate"] |= {"calibration_error": 0.12, "calibration_bias": 0.1, "calibration_interval": [0.0, 0.15]}
    gate = judge(figures, calibration_error=0.02)["calibration_error"]
    assert gate.passed and gate.value == pytest.approx(0.02)
    assert "0.1000, what a perfectly calibrated model scores with 10 images" in gate.detail
    assert not judge(figures, calibration_error=0.01)["calibration_error"].passed


def test_the_negative_transfer_gate_states_the_finding(figures):
    assert judge(figures, negative_transfer={})["negative_transfer"].detail == "Transferring is worse."


def test_what_is_no_number_closes():
    assert not rules.at_least("accuracy", math.nan, 0.0).passed
    assert not rules.at_most("calibration_error", math.nan, 1.0).passed


def test_what_was_not_measured_closes():
    for gate in (rules.at_least("accuracy", None, 0.0), rules.at_most("latency_ms", None, 1.0)):
        assert not gate.passed and gate.value is None and "not measured" in str(gate)
