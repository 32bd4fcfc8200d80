"""Plots as SVG inside a page. Colours stand in the page's style sheet, so they follow light and dark mode."""

import dataclasses
import datetime
import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from graft.models.text import printable

_WIDTH, _HEIGHT = 340, 168
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 10, 28
_DAY_S, _CROWD = 86400, 50
_MOST, _LATEST = 1e150, 2**37  # the latter within the years that `datetime` knows


@dataclasses.dataclass(frozen=True)
class Point:
    """One measured value.

    Attributes:
        x: seconds since 1970.
        y: the value, finite.
        text: what is shown when one points at it.
        href: where it leads, empty for nowhere.
        low, high: its interval, None for none.
        marked: whether it stands out: an alarm.
    """

    x: float
    y: float
    text: str
    href: str = ""
    low: float | None = None
    high: float | None = None
    marked: bool = False


def plot(points: Sequence[Point], title: str, limit: float | None = None) -> Markup:
    """Values over time, joined, with a dashed line at `limit`; `title` is for those who do not see it.

    What is no number, or beyond what can be drawn, is left out; nothing is drawn where nothing is left.
    """
    points = sorted((p for p in points if _can_be_drawn(p)), key=lambda p: p.x)
    if not points:
        return Markup("")
    heights = [y for p in points for y in (p.y, p.low, p.high) if y is not None]
    ticks = _ticks(min([*heights, *_given(limit)]), max([*heights, *_given(limit)]))
    low, high = ticks[0], ticks[-1]
    first, last = min(p.x for p in points), max(p.x for p in points)

    def across(x: float) -> float:
        share = (x - first) / (last - first) if last > first else 0.5
        return _LEFT + 6 + share * (_WIDTH - _LEFT - _RIGHT - 12)

    def down(y: float) -> float:
        return _TOP + (high - y) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(
        _WIDTH, _HEIGHT, printable(title)
    )]  # fmt: skip
    for tick in ticks:
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
                _LEFT, _WIDTH - _RIGHT, y=down(tick)
            )
        )
        parts.append(_text(_LEFT - 6, down(tick) + 4, f"{tick:.6g}", "end"))
    stamp = "%H:%M:%S" if last - first < _DAY_S and _day(first) == _day(last) else "%Y-%m-%d"
    if last > first:
        parts.append(_text(_LEFT, _HEIGHT - 8, _time(first, stamp), "start"))
        parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 8, _time(last, stamp), "end"))
    else:
        parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, _time(first, "%Y-%m-%d %H:%M"), "middle"))
    if limit is not None:
        parts.append(
            Markup('<line class="limit" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
                _LEFT, _WIDTH - _RIGHT, y=down(limit)
            )
        )
    line = " ".join(f"{across(p.x):.1f},{down(p.y):.1f}" for p in points)
    parts.append(Markup('<polyline class="line" points="{}"/>').format(line))
    radius = 3 if len(points) <= _CROWD else 2
    for p in points:
        if p.low is not None and p.high is not None:
            parts.append(
                Markup('<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{:.1f}" y2="{:.1f}"/>').format(
                    down(p.low), down(p.high), x=across(p.x)
                )
            )
        dot = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>').format(
            "dot marked" if p.marked else "dot", across(p.x), down(p.y), radius + p.marked, printable(p.text)
        )
        parts.append(Markup('<a href="{}">{}</a>').format(p.href, dot) if p.href else dot)
    return Markup("").join([*parts, Markup("</svg>")])


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, escape(text))


def _given(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers of which the ends enclose both."""
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-12):
        spread = abs(high) / 10 or 1.0
        low, high = low - spread, high + spread
    raw = (high - low) / 3
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12 - math.floor(math.log10(step))) for number in range(first, last + 1)]


def _day(seconds: float) -> str:
    return _time(seconds, "%Y-%m-%d")


def _time(seconds: float, form: str) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime(form)


def _can_be_drawn(point: Point) -> bool:
    heights = (point.y, *_given(point.low), *_given(point.high))
    return all(abs(y) <= _MOST for y in heights) and 0 <= point.x <= _LATEST
