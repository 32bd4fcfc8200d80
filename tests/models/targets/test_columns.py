"""Cells of a source as texts."""

import pytest

from graft.models.targets.columns import MAX_TEXT, index_text, one_text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("caf\u00e9", "caf\u00e9"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (b"\xff", "\\xff"),
        ("\udcff", "\\xff"),
        (3, "3"),
        (0.5, "0.5"),
        (None, ""),
        (float("nan"), ""),
        ([1], ""),
        ({}, ""),
        ("x" * MAX_TEXT, "x" * MAX_TEXT),
        ("x" * (MAX_TEXT + 1), ""),
    ],
)
def test_one_value_is_a_text_and_anything_else_is_none(cell, text):
    assert one_text(cell) == text


@pytest.mark.parametrize(("cell", "name"), [("1", "b"), (1, "b"), ("a", "a"), ("2", "2"), ("-1", "-1"), ("0", "0")])
def test_a_number_indexes_names_unless_it_is_one(cell, name):
    assert index_text(cell, ("0", "b")) == name
    assert index_text(cell, None) == str(cell)
