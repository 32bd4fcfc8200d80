"""Plots inside a page: what is drawn, and what cannot be."""

import math
import xml.etree.ElementTree as ElementTree

import pytest

from graft.pipeline import svg
from graft.pipeline.svg import Point

ATTACK = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "heights", [(0.0, 1.0), (0.812, 0.871), (5.0,), (0.0, 0.0), (-3.0, -1e-9), (1e-300, 2e-300),
     (-1e150, 1e150), (1e9, 1e9 + 1)]
)  # fmt: skip
def test_round_numbers_enclose_what_is_drawn(heights):
    ticks = svg._ticks(min(heights), max(heights))
    assert ticks == sorted(set(ticks)) and 3 <= len(ticks) <= 6
    assert ticks[0] <= min(heights) and max(heights) <= ticks[-1]
    drawn = ElementTree.fromstring(svg.plot([Point(60.0 * i, y, "") for i, y in enumerate(heights)], "heights"))
    dots = [float(dot.get("cy")) for dot in drawn.iter("circle")]
    assert len(dots) == len(heights) and all(0 <= y <= svg._HEIGHT for y in dots)


def test_what_is_no_number_is_left_out():
    bad = [Point(0.0, math.nan, ""), Point(0.0, math.inf, ""), Point(math.nan, 1.0, ""), Point(1e300, 1.0, "")]
    bad += [Point(-1.0, 1.0, ""), Point(0.0, 1.0, "", low=math.nan, high=1.0)]
    assert svg.plot(bad, "nothing") == ""
    assert svg.plot([*bad, Point(svg._LATEST, 1.0, "")], "one").count("<circle") == 1


def test_points_are_joined_in_the_order_of_time_whatever_order_they_come_in():
    points = [Point(float(x), float(x % 3), "") for x in (5, 1, 4, 2)]
    assert svg.plot(points, "p") == svg.plot(sorted(points, key=lambda p: p.x), "p")


def test_texts_are_escaped():
    drawn = svg.plot([Point(0.0, 1.0, ATTACK, href=f'"{ATTACK}')], ATTACK)
    assert "<script" not in drawn
    [title] = ElementTree.fromstring(drawn).iter("title")
    assert title.text == ATTACK
