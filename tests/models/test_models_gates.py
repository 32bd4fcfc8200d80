"""A limit and what was measured: which way it closes, ties, and what was not measured."""

import math

import pytest

from graft.models.gates import at_least, at_most, within


@pytest.mark.parametrize(("value", "floor", "ceiling"), [(0.7, True, True), (0.71, True, False), (0.69, False, True)])
def test_floors_and_ceilings_have_a_direction_and_a_tie_is_met(value, floor, ceiling):
    assert at_least("accuracy", value, 0.8 - 0.1).passed is within("accuracy", value, 0.7, True).passed is floor
    assert at_most("error", value, 0.8 - 0.1).passed is within("error", value, 0.7, False).passed is ceiling


def test_what_is_no_number_closes():
    assert not at_least("accuracy", math.nan, 0.0).passed
    assert not at_most("calibration_error", math.nan, 1.0).passed


def test_what_was_not_measured_closes():
    for gate in (at_least("accuracy", None, 0.0), at_most("latency_ms", None, 1.0)):
        assert not gate.passed and gate.value is None and "not measured" in str(gate)
