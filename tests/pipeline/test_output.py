"""What commands print."""

import argparse

import pytest

from graft.pipeline.output import answer, table


def test_columns_are_aligned_as_a_screen_shows_them():
    assert table([("b", 2), ("鳥類", 30)], ("name", "n")) == ["name  n", "b     2", "鳥類  30"]
    assert table([("a", 1), ("long", 2)]) == ["a     1", "long  2"]
    assert table([]) == [] and table([], ("a", "b")) == ["a  b"]


def test_a_cell_cannot_end_its_line():
    assert table([("a\nb\x1b[2J", 1)]) == ["a\\nb\\x1b[2J  1"]


@pytest.mark.parametrize(("json", "printed"), [(True, '{"a": 1}\n'), (False, "one\ntwo\n")])
def test_an_answer_is_one_object_or_lines(capsys, json, printed):
    answer(argparse.Namespace(json=json), {"a": 1}, "one", "two")
    assert capsys.readouterr().out == printed
