"""Geometry of the report's charts: what the template draws as SVG inside the page, in the page's own colours."""

import dataclasses
import re
from collections.abc import Sequence

from graft.models.signals.histogram import Categories, Numbers, Signal
from graft.monitoring.drift.judging import VECTORS
from graft.monitoring.drift.labelled import score_bins
from graft.monitoring.drift.results import Test, Window
from graft.monitoring.report.findings import Findings
from graft.monitoring.report.words import share, vectors

WIDTH = 360
_LABEL, _FIGURES, _ROW = 112, 96, 26
_NAMES = 92
_LETTERS = 16
_THOUSANDS = re.compile(r"\d(\.\d+)?e\+0[3-6]")
_MOST_VALUES = 10
_MOST_CELLS = 60


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bin: its share of the reference and of the window, and how long their bars are."""

    label: str
    full: str
    y: int
    before: float
    now: float
    before_width: float
    now_width: float


@dataclasses.dataclass(frozen=True)
class Bars:
    """A histogram of the reference beside that of a window."""

    bars: Sequence[Bar]
    height: int
    alt: str
    rest: str
    left: int = _LABEL
    width: int = WIDTH


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A signal that is shown.

    Attributes:
        test: its comparison.
        unit: of its values.
        bars: None where the reference or the window has no counts of it.
        note: in place of bars, where it is no histogram.
    """

    test: Test
    unit: str
    bars: Bars | None
    note: str = ""


def histograms(found: Findings, most: int = 6) -> list[Histogram]:
    """Of the signals that moved most: all alarms first, and three of the rest where there is none."""
    with_bins = [test for test in found.tests if test.group != "service"]
    alarms = [test for test in with_bins if test.alarm]
    shown = []
    for test in alarms[:most] or with_bins[:3]:
        window = found.last("labels" if test.group == "quality" else "requests")
        signal, before = _reference(found, test.signal)
        now = window.counts.get(test.signal, ()) if window else ()
        bars = None
        fits = signal is not None and len(before) == len(now) == signal.size
        if signal is not None and fits and min(sum(before), sum(now)) > 0:
            bars = compared(signal, before, now)
        note = vectors(window.vectors) if window and window.vectors and test.signal == VECTORS else ""
        shown.append(Histogram(test, getattr(signal, "unit", ""), bars, note))
    return shown


def _reference(found: Findings, name: str) -> tuple[Signal | None, Sequence[int]]:
    if found.watched is None:
        return None, ()
    if name == "score":
        return score_bins(found.watched) or (None, ())
    reference = found.watched.reference
    return reference.signals.get(name), reference.counts.get(name, ())


def compared(signal: Signal, before: Sequence[int], now: Sequence[int]) -> Bars:
    """The bins of a signal; of many values of a category those that changed most, the others as one."""
    names = signal.labels
    if isinstance(signal, Numbers):
        names = tuple(_THOUSANDS.sub(lambda found: f"{float(found[0]):,.0f}", name) for name in names)
    rows = [(name, b / sum(before), n / sum(now)) for name, b, n in zip(names, before, now, strict=True)]
    held = [place for place, row in enumerate(rows) if row[1] or row[2]]
    rows = rows[held[0] : held[-1] + 1] if isinstance(signal, Numbers) else [rows[place] for place in held]
    rest = ""
    if isinstance(signal, Categories) and len(rows) > _MOST_VALUES + 1:
        kept = sorted(rows, key=lambda row: (-abs(row[2] - row[1]), row[0]))[:_MOST_VALUES]
        others = [row for row in rows if row not in kept]
        rest = f"{len(others)} values that changed less are put together."
        rows = [*kept, (f"{len(others)} others", sum(row[1] for row in others), sum(row[2] for row in others))]
    top = max(max(row[1:]) for row in rows)
    room = WIDTH - _LABEL - _FIGURES
    bars = [
        Bar(
            label=name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…",
            full=name,
            y=_ROW * place,
            before=b,
            now=n,
            before_width=round(room * b / top, 1),
            now_width=round(room * n / top, 1),
        )
        for place, (name, b, n) in enumerate(rows)
    ]
    most = max(rows, key=lambda row: abs(row[2] - row[1]))
    alt = (
        f"Shares of {signal.name} by bin, reference against window. Most changed: {most[0]}, from {share(most[1])} to "
        f"{share(most[2])}."
    )
    return Bars(bars, _ROW * len(bars), alt, rest)


@dataclasses.dataclass(frozen=True)
class Cell:
    """A window in a lane of the timeline."""

    x: float
    kind: str
    words: str


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The newest windows, oldest left.

    Attributes:
        lanes: name and cells; a cell's kind is `calm` or `alarm`.
        marks: x and text where another version begins.
        size: width of a cell.
        begin, end: of the windows, seconds since 1970.
        left_out: windows before those that are shown.
    """

    lanes: Sequence[tuple[str, Sequence[Cell]]]
    marks: Sequence[tuple[float, str]]
    size: float
    begin: float
    end: float
    left_out: int
    alt: str
    left: int = _NAMES
    width: int = WIDTH


_LANES = (("inputs", "input"), ("answers", "prediction"), ("errors, latency", "service"), ("quality", "quality"))


def timeline(found: Findings) -> Timeline | None:
    """None where no window was judged yet."""
    windows = found.windows[-_MOST_CELLS:]
    if not windows:
        return None
    size = min(18.0, (WIDTH - _NAMES) / len(windows))
    lanes = []
    for name, group in _LANES:
        cells = []
        for place, window in enumerate(windows):
            tests = [test for test in window.tests if test.group == group and test.against != "previous"]
            if tests:
                alarms = [test.signal for test in tests if test.alarm]
                words = f"window {window.number} of version {window.version}: {', '.join(alarms) or 'no alarm'}"
                cells.append(Cell(round(_NAMES + place * size, 1), "alarm" if alarms else "calm", words))
        lanes.append((name, cells))
    marks: list[tuple[float, str]] = []
    free = 0.0
    for place, window in enumerate(windows):
        if not place or windows[place - 1].version != window.version:
            x = round(_NAMES + place * size, 1)
            if marks and x < free:  # no room for both names: the newer one stays
                marks[-1] = (marks[-1][0], "")
            marks.append((x, f"v{window.version}"))
            free = x + 8 + 6 * len(marks[-1][1])
    drifted = sum(window.drifted for window in windows)
    return Timeline(
        lanes=lanes,
        marks=marks,
        size=round(size, 1),
        begin=min(window.begin for window in windows),
        end=max(window.end for window in windows),
        left_out=found.dropped + len(found.windows) - len(windows),
        alt=f"{len(windows)} windows from old to new by what is watched; {drifted} of them drifted.",
    )


@dataclasses.dataclass(frozen=True)
class Score:
    """A mean score with its interval, as places in the chart."""

    x: float
    y: float
    low: float
    high: float
    kind: str
    words: str


@dataclasses.dataclass(frozen=True)
class Scores:
    """Quality over the version's windows: with labels, and estimated without."""

    scores: Sequence[Score]
    ticks: Sequence[tuple[float, str]]
    reference: float | None
    alt: str
    height: int = 132
    left: int = 40
    width: int = WIDTH


def scores(found: Findings) -> Scores | None:
    """None where there is neither."""
    windows: list[Window] = [w for w in found.windows if w.version == found.version and (w.quality or w.estimate)]
    windows = windows[-_MOST_CELLS:]
    if not windows:
        return None
    reference = found.watched.reference.quality.get("mean") if found.watched else None
    means = [(place, w.quality or w.estimate, w) for place, w in enumerate(windows)]
    values = [v for _, mean, _ in means if mean for v in (mean.low, mean.high)]
    values += [] if reference is None else [reference]
    low, high = min(values), max(values)
    low, high = (low - 0.05, high + 0.05) if high - low < 1e-9 else (low, high)
    shown = Scores([], [], None, "")
    top, bottom = 8, shown.height - 8

    def y(value: float) -> float:
        return round(bottom - (value - low) / (high - low) * (bottom - top), 1)

    step = (WIDTH - shown.left - 12) / max(len(windows) - 1, 1)
    found_scores = [
        Score(
            x=round(shown.left + 6 + step * place, 1),
            y=y(mean.mean),
            low=y(mean.low),
            high=y(mean.high),
            kind="labelled" if window.quality else "estimate",
            words=f"window {window.number}: {mean.mean:.3f} ({mean.low:.3f} to {mean.high:.3f})",
        )
        for place, mean, window in means
        if mean
    ]
    labelled = sum(score.kind == "labelled" for score in found_scores)
    alt = f"Mean score of {labelled} windows of labels and estimates of {len(found_scores) - labelled} of requests."
    ticks = [(y(value), f"{value:.2f}") for value in (low, (low + high) / 2, high)]
    return Scores(found_scores, ticks, None if reference is None else y(reference), alt)
