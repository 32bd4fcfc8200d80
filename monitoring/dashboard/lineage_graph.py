"""The lineage of a run as a graph: a row for each stage, and a rail from each to those that took what it made."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from graft.models.text import printable

_ROW, _RAIL, _LEFT, _TONES = 44, 16, 12, 6
_TEXT_WIDTH, _MOST_LETTERS = 300, 46


@dataclasses.dataclass(frozen=True)
class _Rail:
    """From the row of a stage down to the last row that took something of it."""

    source: int
    takers: Sequence[int]
    names: str


def draw(stages: Sequence[Mapping[str, Any]], links: Sequence[tuple[int, str, int]]) -> Markup:
    """The graph.

    Args:
        stages: as in `pipeline.lineage.describe_run`.
        links: as of `pipeline.metadata.Metadata.links`.
    """
    rows = {stage["execution"]: row for row, stage in enumerate(stages)}
    rails = _rails(rows, links)
    lanes = _lanes(rails)
    count = max(lanes, default=-1) + 1
    text_x = _LEFT + count * _RAIL + 14
    width, height = text_x + _TEXT_WIDTH, len(stages) * _ROW + 8
    parts = [
        Markup('<svg class="graph" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" ').format(
            w=width, h=height
        )
        + Markup('aria-label="Which stage took what another made">')
    ]
    node_x = text_x - 14
    for rail, lane in zip(rails, lanes, strict=True):
        x = node_x - (lane + 1) * _RAIL
        top, end = _middle(rail.source), _middle(rail.takers[-1])
        path = f"M{node_x} {top}H{x + 6}Q{x} {top} {x} {top + 6}V{end - 6}"
        stubs = "".join(
            f"M{x} {_middle(row) - 6}Q{x} {_middle(row)} {x + 6} {_middle(row)}H{node_x}" for row in rail.takers
        )
        told = f"{rail.names} of {_name(stages[rail.source])} to {', '.join(_name(stages[r]) for r in rail.takers)}"
        parts.append(
            Markup('<path class="rail tone{}" d="{}"><title>{}</title></path>').format(
                rail.source % _TONES, path + stubs, told
            )
        )
    for stage, row in zip(stages, rows.values(), strict=True):
        y = _middle(row)
        made = ", ".join(stage["artifacts"]) or "nothing"
        parts.append(Markup('<circle class="node tone{}" cx="{}" cy="{}" r="5"/>').format(row % _TONES, node_x, y))
        parts.append(Markup('<text class="stage" x="{}" y="{}">{}</text>').format(text_x, y - 2, _short(_name(stage))))
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(text_x, y + 13, _short(f"made {made}")))
    return Markup("").join([*parts, Markup("</svg>")])


def _rails(rows: Mapping[int, int], links: Sequence[tuple[int, str, int]]) -> list[_Rail]:
    takers: dict[int, set[int]] = {}
    names: dict[int, set[str]] = {}
    for maker, name, taker in links:
        if maker in rows and taker in rows and rows[maker] < rows[taker]:
            takers.setdefault(rows[maker], set()).add(rows[taker])
            names.setdefault(rows[maker], set()).add(name)
    return [_Rail(row, sorted(takers[row]), printable(", ".join(sorted(names[row])))) for row in sorted(takers)]


def _lanes(rails: Sequence[_Rail]) -> list[int]:
    """A lane for each rail, 0 nearest to the rows, such that none lies on another; short ones lie inside."""
    held: list[list[_Rail]] = []
    lanes = [0] * len(rails)
    for place in sorted(range(len(rails)), key=lambda i: (rails[i].takers[-1] - rails[i].source, rails[i].source)):
        rail = rails[place]
        lane = next((n for n, others in enumerate(held) if all(_apart(rail, o) for o in others)), len(held))
        if lane == len(held):
            held.append([])
        held[lane].append(rail)
        lanes[place] = lane
    return lanes


def _apart(one: _Rail, other: _Rail) -> bool:
    return one.takers[-1] <= other.source or other.takers[-1] <= one.source


def _middle(row: int) -> int:
    return row * _ROW + _ROW // 2


def _name(stage: Mapping[str, Any]) -> str:
    return printable(str(stage["stage"]))


def _short(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _MOST_LETTERS else shown[: _MOST_LETTERS - 1] + "…"
