"""Learning rates against their closed forms."""

import math

import numpy as np
import pytest

from graft.models.schedules import Plan

STEPS = 100


def rates(plan: Plan, base: float = 0.01) -> list[float]:
    """The rate of each step."""
    return [float(plan.rate(base)(step)) for step in range(plan.steps)]


def test_a_constant_rate_is_a_number():
    assert Plan("constant", STEPS).rate(0.01) == 0.01


def test_a_warm_up_rises_from_nothing_to_the_rate():
    np.testing.assert_allclose(rates(Plan("constant", STEPS, warmup=20)), [0.01 * min(s / 20, 1) for s in range(STEPS)])


def test_cosine():
    expected = [0.01 * (1 + math.cos(math.pi * step / STEPS)) / 2 for step in range(STEPS)]
    np.testing.assert_allclose(rates(Plan("cosine", STEPS)), expected, rtol=1e-5, atol=1e-9)
    warm = [0.01 * step / 20 for step in range(20)]
    warm += [0.01 * (1 + math.cos(math.pi * (step - 20) / 80)) / 2 for step in range(20, STEPS)]
    np.testing.assert_allclose(rates(Plan("cosine", STEPS, warmup=20)), warm, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("steps", [100, 37, 5])
def test_slanted_triangle_as_in_section_3_of_the_paper(steps):
    """With cut = floor(T cut_frac), p as published and lr = max (1 + p (ratio - 1)) / ratio."""
    cut = max(math.floor(steps * 0.1), 1)
    expected = []
    for step in range(steps):
        p = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / (cut / steps) - 1))
        expected.append(0.01 * (1 + p * 31) / 32)
    found = rates(Plan("slanted_triangular", steps))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert max(found) == pytest.approx(0.01) and min(found) >= 0.01 / 32 - 1e-9


def test_steps_divide_by_ten():
    found = rates(Plan("steps", 500, warmup=100, drops=(200, 300, 400)))
    expected = [step / 100 for step in range(100)] + [1.0] * 100 + [0.1] * 100 + [0.01] * 100 + [0.001] * 100
    np.testing.assert_allclose(found, 0.01 * np.array(expected), rtol=1e-5)


@pytest.mark.parametrize("name", ["cosine", "slanted_triangular", "steps"])
def test_beyond_its_end_a_rate_stays_at_its_lowest(name):
    plan = Plan(name, STEPS, drops=(30,))
    assert float(plan.rate(1.0)(STEPS)) == pytest.approx(float(plan.rate(1.0)(10 * STEPS)))
    assert 0 <= float(plan.rate(1.0)(10 * STEPS)) < 0.11
