"""What commands print."""

import argparse
import sys

import pytest

from graft.pipeline.output import answer, fitted, table


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


ROWS = [("train", 5.5, "head solved, best eval accuracy 0.8571"), ("push", None, "version 1")]


def test_on_a_narrow_terminal_nothing_is_torn(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    assert table(ROWS, ("stage", "seconds", "result")) == [
        "stage  seconds  result",
        "train  5.5      head solved, best eval",
        "                accuracy 0.8571",
        "push            version 1",
    ]
    monkeypatch.setenv("COLUMNS", "30")
    assert table(ROWS, ("stage", "seconds", "result")) == [
        "stage    train",
        "seconds  5.5",
        "result   head solved, best",
        "         eval accuracy 0.8571",
        "",
        "stage    push",
        "seconds",
        "result   version 1",
    ]
    assert fitted(["open    accuracy is 0.8571, limit 0.7", "short"]) == [
        "open    accuracy is 0.8571,",
        "  limit 0.7",
        "short",
    ]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert len(table(ROWS, ("stage", "seconds", "result"))) == 3, "a pipe bounds no line"
