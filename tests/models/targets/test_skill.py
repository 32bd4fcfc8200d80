"""Floors to begin with, and what is said of a model without skill; each kind of target has its own."""

import numpy as np
import pytest

from graft.models.targets import KINDS, make_target, skill

CLASSES = ("cat", "dog", "emu")


def codes(found) -> list[str]:
    return [warning.code for warning in found]


def test_a_floor_is_above_chance_by_a_part_or_by_luck_but_can_be_reached():
    assert skill.above_chance(0.5, 10_000) == 0.55
    assert skill.above_chance(0.5, 100) == 0.6, "two standard deviations of a coin thrown 100 times"
    assert skill.above_chance(0.5, 1) == 0.667, "a third of the way at most"
    assert skill.above_chance(0.99, 50) < 1.0


def test_a_class_has_a_floor_where_the_test_split_can_measure_it():
    assert skill.recall_floors({"cat": 60, "dog": 60}, 120, 20) == {"recall": 0.1}
    assert skill.recall_floors({"cat": 60, "dog": 60, "emu": 12}, 132, 20) == {"recall": {"cat": 0.1, "dog": 0.1}}
    assert skill.recall_floors({"cat": 3, "dog": 3}, 6, 2) == {}
    assert skill.recall_floors({"": 100}, 100, 20) == {}


@pytest.fixture(params=list(KINDS))
def case(request):
    """Target, truth, answers that are right, answers that look at no example, and strata of the data."""
    rng = np.random.default_rng(0)
    if request.param == "numbers":
        target = make_target(KINDS.options("numbers")(columns=["price"]), ["price"], {"mean": [3.0], "std": [1.0]})
        truth = rng.normal(3, 1, (60, 1)).astype(np.float32)
        return target, truth, truth + 0.1, np.full_like(truth, truth.mean() + 0.01), {"": 60}
    target = make_target(KINDS.options(request.param)(), CLASSES)
    labels = np.repeat(range(3), (30, 20, 10))
    right = np.eye(3, dtype=np.float32)[labels] * 0.9 + 0.03
    always = np.tile(np.array([[0.8, 0.1, 0.1]], np.float32), (60, 1))
    truth = labels if request.param == "label" else np.eye(3, dtype=np.float32)[labels]
    return target, truth, right, always, dict(zip(CLASSES, (30, 20, 10), strict=True))


def test_what_is_proposed_lets_a_good_model_pass_and_stops_one_without_skill(case):
    target, truth, right, always, strata = case
    limits = target.proposed(strata, 60, 60)
    assert set(limits) & set(target.floors)
    KINDS.module(target.kind).Gates.model_validate(limits)
    assert all(gate.passed for gate in target.rules(target.figures(truth, right), limits))
    assert not all(gate.passed for gate in target.rules(target.figures(truth, always), limits))


def test_only_a_model_without_skill_is_warned_of(case):
    target, truth, right, always, _ = case
    assert target.warnings(target.figures(truth, right), "images") == []
    found = target.warnings(target.figures(truth, always), "images")
    assert skill.NO_SKILL in codes(found) and all(warning.grave for warning in found)


def test_a_class_that_is_never_found_is_named():
    target = make_target(KINDS.options("label")(), CLASSES)
    labels = np.repeat(range(3), (30, 20, 10))
    answers = np.eye(3, dtype=np.float32)[np.where(labels == 2, 0, labels)]
    (lost,) = target.warnings(target.figures(labels, answers), "images")
    assert lost.code == skill.NEVER_FOUND and "emu (0 of 10)" in lost.text and lost.line.startswith("WARNING")
    answers[-1] = [0, 0, 1]
    assert target.warnings(target.figures(labels, answers), "images") == []
    there = labels < 2
    assert target.warnings(target.figures(labels[there], answers[there]), "images") == [], "no example, no warning"
