"""Errors on one line."""

import pytest

from graft.models.errors import GraftError, one_line


def test_several_faults_are_a_line_each():
    error = GraftError("first", "second")
    assert (str(error), error.lines) == ("first\nsecond", ("first", "second"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 400), "x" * 300),
    ],
)
def test_what_others_say_becomes_one_line(error, line):
    assert one_line(error) == line
    assert one_line(ValueError("x" * 400), None) == "x" * 400
