"""The gates that every target has: open, and closed. Those of a target's own limits are tested with the target."""

import json

import numpy as np
import pytest

from graft.components.quality_gate import rules
from graft.models.targets import label, numbers
from graft.pipeline.config import schema

CLASSES = ["cat", "dog", "owl"]
CLASSIFIER = label.Target(label.Options(), CLASSES)
REGRESSION = numbers.Target(numbers.Options(columns=("size",)), ["size"])


@pytest.fixture
def figures() -> dict:
    """Of a classifier with two slices, served and best versions that are better than it."""
    return {
        "candidate": CLASSIFIER.figures(np.array([0, 0, 1]), np.eye(3)[[0, 1, 1]]),
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
    """A version of the store that scores this much more than the candidate; below 0 the fall may be luck."""
    return {
        "version": version,
        "comparable": True,
        "accuracy": 0.8 + fall,
        "classes": CLASSES,
        "added": [],
        "removed": [],
        "shared": 3,
        "examples": 10,
        "candidate": 0.8,
        "rival": 0.8 + fall,
        "gap": fall,
        "interval": [low, 2 * fall - low],
        "beyond_luck": fall if low > 0 else min(fall, 0),
        "statement": "is better",
    }


def judge(figures: dict, target=CLASSIFIER, **limits) -> dict:
    """name -> gate, for limits as the configuration gives them; only those that are asked for."""
    off = {"baseline_tolerance": None} | ({"classes": "any"} if target is CLASSIFIER else {})
    options = schema(target.kind).model_fields["gates"].annotation(**(off | limits))
    found = {gate.name: gate for gate in rules.judge(target, figures, json.loads(options.model_dump_json()))}
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
        ({"accuracy": 0.6}, "accuracy", True),
        ({"accuracy": 0.7}, "accuracy", False),
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


@pytest.mark.parametrize(("ceiling", "passed"), [(2.0, True), (1.9, False)])
def test_what_should_be_low_has_a_ceiling_in_every_slice(figures, ceiling, passed):
    figures["candidate"] = REGRESSION.figures(np.float32([[1], [2]]), np.float32([[1], [3]]))
    figures["slices"] = {"camera": {"left": {"examples": 9, "mean_absolute_error": 2.0, "root_mean_squared_error": 3}}}
    wanted = {"camera": {"mean_absolute_error": ceiling, "min_examples": 1}}
    assert judge(figures, REGRESSION, slices=wanted)["mean_absolute_error[camera=left]"].passed is passed


def test_without_limits_there_are_no_gates(figures):
    assert judge(figures) == {}


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
    assert gate.detail == "served version 3 is better"


def test_a_fall_that_may_be_luck_is_none(figures):
    gate = judge(figures | {"baseline": rival(3, 0.05, low=-0.02)}, baseline_tolerance=0.0)["baseline"]
    assert gate.passed and gate.value == 0


def test_a_baseline_that_was_not_measured_closes(figures):
    figures["baseline"] |= {"examples": 0, "gap": None, "beyond_luck": None}
    gate = judge(figures, baseline_tolerance=1.0)["baseline"]
    assert not gate.passed and gate.value is None


def test_another_kind_of_model_closes_the_baseline_and_has_no_list_of_classes(figures):
    figures["baseline"] = {"version": 3, "comparable": False, "beyond_luck": None, "statement": "answers numbers"}
    gates = judge(figures, baseline_tolerance=1.0, classes="same")
    assert set(gates) == {"baseline"} and not gates["baseline"].passed


def test_answers_that_are_no_numbers_close_whatever_the_limits(figures):
    figures["candidate"] = CLASSIFIER.figures(np.array([0, 0, 1]), np.full((3, 3), np.nan))
    found = {gate.name: gate for gate in rules.judge(CLASSIFIER, figures, {})}
    assert not found["invalid_answers"].passed and found["invalid_answers"].value == 3


def test_the_negative_transfer_gate_states_the_finding(figures):
    assert judge(figures, negative_transfer={})["negative_transfer"].detail == "Transferring is worse."
