"""Bins hold about equally many of what they were fitted on, and every value falls into one."""

import math

import numpy as np
import pytest

from graft.models.signals.histogram import Categories, Numbers


def test_bins_hold_equally_many_whatever_the_order():
    values = np.random.default_rng(0).normal(size=1000)
    fitted = Numbers.fit("x", "px", values)
    assert fitted.size == 11 and fitted == Numbers.fit("x", "px", sorted(values))
    assert fitted.counts(values) == (100,) * 10 + (0,)
    assert fitted.labels[0].startswith("up to -1.") and fitted.labels[-1] == "missing"


def test_beyond_the_outer_edges_is_the_outer_bin_and_nothing_is_missing():
    fitted = Numbers("x", "", (0.0, 1.0, 2.0, 3.0))
    assert [fitted.bin(v) for v in (-9, 0, 1, 1.5, 2, 3, 9, math.inf, -math.inf)] == [0, 0, 0, 1, 1, 2, 2, 2, 0]
    assert [fitted.bin(v) for v in (None, math.nan)] == [3, 3]
    assert fitted.labels == ("up to 1", "1 to 2", "above 2", "missing")


@pytest.mark.parametrize("value", [0.0, 7.0, -1e-9, 1e300])
def test_a_constant_has_few_bins_and_is_told_from_what_lies_beside_it(value):
    fitted = Numbers.fit("x", "", [value] * 40)
    assert fitted.size == 4
    assert [fitted.bin(v) for v in (value - abs(value) / 9 - 1, value, value + abs(value) / 9 + 1)] == [0, 1, 2]
    assert fitted.labels[1] == f"{value:.3g}" and fitted.labels[0] == f"below {value:.3g}"


def test_values_that_are_common_have_bins_of_their_own():
    fitted = Numbers.fit("words", "", [0] * 50 + [1] * 30 + [2] * 20)
    assert fitted.counts([0, 1, 2, 3, None]) == (0, 1, 1, 1, 1, 1)
    assert fitted.labels == ("below 0", "0", "0 to 1", "1 to 2", "above 2", "missing")


def test_without_a_value_there_is_one_bin():
    fitted = Numbers.fit("x", "", [None, math.nan, math.inf])
    assert fitted.edges == () and fitted.counts([3.0, None]) == (1, 1) and fitted.labels == ("any", "missing")


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (0.0, math.inf), (math.nan, 1.0)])
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(ValueError, match=r"edges of 'x' must be finite and rise"):
        Numbers("x", "", edges)


def test_categories_are_the_most_frequent_ties_by_name():
    fitted = Categories.fit("format", ["b", "a", "c", "c", None, "d"], most=3)
    assert fitted.values == ("c", "a", "b")
    assert fitted.counts(["c", "d", "zzz", None]) == (1, 0, 0, 2, 1)
    assert fitted.labels == ("c", "a", "b", "other", "missing")
    assert Categories("x", ("other",)).labels == ("other", "(other)", "missing")


def test_a_category_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="must differ"):
        Categories("x", ("a", "a"))
