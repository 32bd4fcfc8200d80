"""A curve of score against labels (`models.curve`) as blocks of a report, a plot and lines for a terminal."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from graft.models.durable import write_atomic
from graft.models.hashing import hash_json
from graft.models.page import Axes, Block, Column, Plot, Series, Table, Text, Tone
from graft.pipeline.config import Config
from graft.pipeline.stages.base import Part, Ran

FILE_NAME, FOLDER = "curve.json", "curves"
_DECIDES = ("data", "input", "target", "backbone", "head", "transfer", "train")
"""Sections of the configuration that a curve hangs on."""
_TONES: tuple[Tone, ...] = ("first", "second", "third", "fourth", "fifth", "sixth")
_APART = 0.03
"""By which factor contestants stand beside one another, so that their bars do not cover each other."""

_WORDS = {"raw_linear_head": "linear head, no transfer", "scratch": "same network from scratch"}


def folder(config: Config, fingerprint: str) -> pathlib.Path:
    """Where the curve of a configuration lies.

    Args:
        config: of the pipeline.
        fingerprint: of its data.
    """
    held = config.model_dump(mode="json", by_alias=True, include=set(_DECIDES))
    return config.run_root / FOLDER / hash_json([held, fingerprint])[:16]


def save(found: Mapping[str, Any], place: pathlib.Path) -> list[pathlib.Path]:
    """Writes a curve and its plot; gives their paths."""
    from graft.pipeline import plots  # imported here: matplotlib takes a second

    place.mkdir(parents=True, exist_ok=True)
    data, drawn = place / FILE_NAME, (place / FILE_NAME).with_suffix(plots.SUFFIX)
    write_atomic(data, json.dumps(found, indent=1).encode())
    plots.write(plot(found), drawn)
    return [data, drawn]


def names(found: Mapping[str, Any]) -> list[str]:
    """Its contestants in the order of their columns."""
    return [*found["contestants"]["methods"], *found["contestants"]["references"]]


def plot(found: Mapping[str, Any]) -> Plot:
    """Medians over seeds with bars from the lowest to the highest; what no transfer gives is grey."""
    points = sorted(found["points"], key=lambda point: point["each"])
    shown = names(found)
    series: list[Series] = []
    for place, name in enumerate(shown):
        reference = name in found["contestants"]["references"]
        tone: Tone = "muted" if reference else _TONES[place % len(_TONES)]
        factor = 1 + _APART * (place - (len(shown) - 1) / 2)
        x = [point["each"] * factor for point in points]
        results = [point["results"][name] for point in points]
        series.append(
            Series("", x, [one["min"] for one in results], "gaps", to=[one["max"] for one in results], tone=tone)
        )
        medians = [one["median"] for one in results]
        label = _WORDS.get(name, name)
        if name == "scratch":
            series += [Series(label, x, medians, "dashed", tone=tone), Series("", x, medians, "points", tone=tone)]
        else:
            series.append(Series(label, x, medians, "joined", tone=tone))
    axes = Axes(
        f"{found['unit']} (learned from)",
        f"{found['score']}, {found['judged']} split",
        series,
        log_x=True,
        ticks=[(point["each"], _count(point)) for point in points],
    )
    return Plot(f"{found['score']} by {found['unit']}, with and without transfer", [axes], wide=True)


def blocks(found: Mapping[str, Any]) -> list[Block]:
    """What a report shows of a curve."""
    shown = names(found)
    columns = [
        Column(found["unit"]),
        Column("examples", "number"),
        *(Column(_WORDS.get(n, n), "number") for n in shown),
    ]
    rows = [
        (_count(point), point["examples"], *(_cell(point["results"][name]) for name in shown))
        for point in found["points"]
    ]
    table = Table(columns, rows, title=f"{found['score'][:1].upper()}{found['score'][1:]}: median (lowest to highest)")
    gains = [
        (
            _count(point),
            name,
            _WORDS.get(rival, rival),
            f"{gain['mean']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})",
        )
        for point in found["points"]
        for name, rivals in point["gains"].items()
        for rival, gain in rivals.items()
    ]
    of_gains = Table(
        [Column(found["unit"]), Column("method"), Column("over"), Column("gain (interval)", "number")],
        gains,
        title="Gains of transferring",
    )
    told: list[Block] = [Text(" ".join(found["statements"]))] if found["statements"] else []
    return [
        *told,
        plot(found),
        table,
        *([of_gains] if gains else []),
        *(Text(note, note=True) for note in notes(found)),
    ]


def notes(found: Mapping[str, Any]) -> list[str]:
    """How it was measured, how sure it is, and what is missing."""
    chosen = "as many examples of eval at most" if found["choose"] == "same" else "all that eval has to choose by"
    if found["judged"] == "test":
        judged = "The test split was opened for this curve: whoever chooses by it needs another one to report."
    else:
        judged = "The test split was not opened."
    lines = [
        f"Judged on {found['judged_on']} examples of the {found['judged']} split that nothing was chosen by. {judged}",
        f"Each training chose its strength or its epoch on {chosen}, and took {found['steps']} steps at the least.",
        found["sureness"],
    ]
    lines += [f"Left out: {one['labels']} {found['unit']}, for {one['reason']}." for one in found["left_out"]]
    return lines


def lines(found: Mapping[str, Any]) -> list[str]:
    """The same for a terminal."""
    from graft.pipeline.output import table

    shown = names(found)
    rows = [
        (_count(point), point["examples"], *(_cell(point["results"][name]) for name in shown))
        for point in found["points"]
    ]
    header = (found["unit"], "examples", *(_WORDS.get(name, name) for name in shown))
    title = f"{found['score']}: median (lowest to highest) over {len(found['seeds'])} seeds"
    return [title, "", *table(rows, header), "", *found["statements"], *notes(found)]


def _count(point: Mapping[str, Any]) -> str:
    return "all" if point["labels"] is None else str(point["labels"])


def _cell(result: Mapping[str, Any]) -> str:
    return f"{result['median']:.3f} ({result['min']:.3f} to {result['max']:.3f})"


def _shown(ran: Ran) -> Sequence[Block]:
    """The curve of the same configuration on the same data; nothing where there is none."""
    data = ran.lineage.get("data")
    if not data:
        return ()
    path = folder(ran.config, data["fingerprint"]) / FILE_NAME
    return blocks(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()


PART = Part("curve", "How many labels it takes", _shown)
"""A part of a report that no stage brings: `graft curve` made it, before or between runs."""
