"""A line is one of its model, or is named with what is wrong in it."""

import pydantic
import pytest

from graft.models.errors import GraftError
from graft.monitoring.json_lines import parsed


class Point(pydantic.BaseModel):
    x: int


def test_a_line_is_read_with_or_without_its_end():
    assert parsed(Point, b'{"x": 3}\n', "f:1", "a point") == parsed(Point, '{"x": 3}', "f:1", "a point") == Point(x=3)


@pytest.mark.parametrize(("line", "told"), [('{"x": "a"}', "f:7: x: Input should be a valid int"), ("{", "f:7: : Inv")])
def test_a_damaged_one_is_named(line, told):
    with pytest.raises(GraftError, match=f"^{told}.*; it must be a point$"):
        parsed(Point, line, "f:7", "a point")
