"""Names in the order in which people look for them."""

import itertools

from graft.models.natural import natural_key


def test_numbers_in_names_count_as_numbers():
    names = ["a1", "a2", "a10", "a10b2", "a10b11", "b", "class 9", "class 10"]
    assert sorted(reversed(names), key=natural_key) == names


def test_case_and_leading_zeros_only_break_ties():
    assert sorted(["b", "C", "a", "A", "B"], key=natural_key) == ["A", "a", "B", "b", "C"]
    assert sorted(["2", "10", "002", "1", "02"], key=natural_key) == ["1", "002", "02", "2", "10"]


def test_any_two_names_can_be_compared_and_the_order_is_one():
    names = ["", "1", "a", "1a", "a1", "a 1", "A1", "\u0663", "caf\u00e9", "\u732b2", "9" * 5000, "-1", "01"]
    expected = sorted(names, key=natural_key)
    for i, j in itertools.combinations(range(len(expected)), 2):
        assert natural_key(expected[i]) < natural_key(expected[j])
    assert sorted(expected[::-1], key=natural_key) == expected
