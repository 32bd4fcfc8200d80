"""Spans of requests that are judged as one: which request falls into which, and when one is full.

A version has a span for each `hours` of the requests' own clock, and in it windows of `rows` examples one after the
other. A span ends when requests come that are `grace_minutes` later than its end; the window that is open then is
judged if it has `least` examples, and else goes on with the next span. Windows do not overlap and leave nothing out.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

import numpy as np

from graft.monitoring.drift.options import WindowOptions
from graft.monitoring.drift.rows import NO_INPUTS, NO_OUTPUTS, OK, STATUSES, Rows
from graft.monitoring.drift.sample import Place, drawn, smallest

AHEAD_S = 300.0
"""A request whose time is further in the future than that came from a clock that had jumped."""

LATENCY_S = tuple(round(10 ** (power / 10), 9) for power in range(-40, 31))
"""Upper bounds of the bins of latency, 0.1 ms to 1000 s, ten a decade; a last bin has no bound."""

Reason = Literal["rows", "time"]


@dataclasses.dataclass
class Window:
    """What is counted of requests; attributes as of `results.Window`.

    Attributes:
        first, last: numbers of its spans.
        size: examples, where a request that has none counts as one: what `rows` and `least` go by.
        codes: int [statuses].
        latency: int [bins of LATENCY_S], answered requests.
        slow: answered requests that took longer than the configuration allows.
        sample: some of its examples, see `sample`.
    """

    first: int
    last: int
    counts: dict[str, np.ndarray]
    begin: float = math.inf
    end: float = -math.inf
    size: int = 0
    requests: int = 0
    rows: int = 0
    late: int = 0
    ahead: int = 0
    slow: int = 0
    codes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(STATUSES), np.int64))
    latency: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(len(LATENCY_S) + 1, np.int64))
    unmeasured: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    violations: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    sample: list[Place] = dataclasses.field(default_factory=list)

    def add(self, rows: Rows, late: np.ndarray, ahead: np.ndarray, slow_s: float | None, sampled: int = 0) -> None:
        """Counts requests.

        Args:
            rows: the requests.
            late, ahead: bool [requests].
            slow_s: as `Windows` has it.
            sampled: most examples of `sample`.
        """
        self.sample = smallest(self.sample, drawn(rows, sampled), sampled)
        answered = rows.statuses == OK
        self.size += int(np.maximum(rows.examples, 1).sum())
        self.requests += len(rows.times)
        self.rows += int(rows.examples.sum())
        self.late += int(late.sum())
        self.ahead += int(ahead.sum())
        believed = rows.times[~ahead]
        if len(believed):
            self.begin = min(self.begin, float(believed.min()))
            self.end = max(self.end, float(believed.max()))
        self.codes += np.bincount(rows.statuses, minlength=len(STATUSES))
        seconds = rows.seconds[answered]
        self.latency += np.bincount(np.searchsorted(LATENCY_S, seconds), minlength=len(LATENCY_S) + 1)
        self.slow += int((seconds > slow_s).sum()) if slow_s is not None else 0
        for column, count in enumerate(self.counts.values()):
            bins = rows.bins[:, column]
            count += np.bincount(bins[bins >= 0], minlength=len(count))
        sizes = np.maximum(rows.examples, 1)
        for what, flag in (("inputs", NO_INPUTS), ("outputs", NO_OUTPUTS)):
            if missing := int(sizes[rows.unlogged & flag > 0].sum()):
                self.unmeasured[what] += missing
        violations = rows.violations[rows.violations >= 0]
        self.violations.update({rows.reasons[code]: int((violations == code).sum()) for code in np.unique(violations)})

    def merge(self, other: Self, sampled: int = 0) -> None:
        """Takes up a later window."""
        self.sample = smallest(self.sample, other.sample, sampled)
        self.last = max(self.last, other.last)
        self.begin, self.end = min(self.begin, other.begin), max(self.end, other.end)
        for name in ("size", "requests", "rows", "late", "ahead", "slow"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("codes", "latency"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.counts = {name: count + other.counts[name] for name, count in self.counts.items()}
        self.unmeasured.update(other.unmeasured)
        self.violations.update(other.violations)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON types."""
        value = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        value["counts"] = {name: count.tolist() for name, count in self.counts.items()}
        return value | {name: value[name].tolist() for name in ("codes", "latency")}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `to_json` made."""
        counts = {name: np.array(count, np.int64) for name, count in value["counts"].items()}
        arrays = {name: np.array(value[name], np.int64) for name in ("codes", "latency")}
        counters = {name: collections.Counter(value[name]) for name in ("unmeasured", "violations")}
        sample = [Place(*place) for place in value.get("sample", ())]
        return cls(**{**value, **arrays, **counters, "counts": counts, "sample": sample})


@dataclasses.dataclass(frozen=True)
class Full:
    """A window that is to be judged."""

    window: Window
    reason: Reason


class Windows:
    """The open windows of one version.

    Args:
        options: when one is full.
        sizes: bins of each signal, in the order of the columns of `Rows.bins`.
        slow_s: as `monitoring.drift.latency_ms`, in seconds.
        sampled: examples of a window whose places are kept.

    Attributes:
        newest: the latest time of a request that was believed, seconds since 1970.
        judged: number of the last span that was judged for its time.
        open: in the order of their spans, which do not overlap.
    """

    def __init__(self, options: WindowOptions, sizes: Mapping[str, int], slow_s: float | None = None, sampled: int = 0):
        self._options, self._sizes, self._slow_s, self._sampled = options, dict(sizes), slow_s, sampled
        self._span_s, self._grace_s = options.hours * 3600, options.grace_minutes * 60
        self.newest = -math.inf
        self.judged: int | None = None
        self.open: list[Window] = []

    def add(self, rows: Rows, now: float) -> Iterator[Full]:
        """Counts requests, and gives the windows that are full with them; must be used up.

        Args:
            rows: to this version, each request for the first time.
            now: seconds since 1970.
        """
        if not len(rows.times):
            return
        ahead = rows.times > now + AHEAD_S
        if not ahead.all():
            self.newest = max(self.newest, float(rows.times[~ahead].max()))
        elif not math.isfinite(self.newest):
            self.newest = now
        spans = np.floor(np.where(ahead, self.newest, rows.times) / self._span_s).astype(np.int64)
        late = np.zeros(len(spans), bool)
        if self.judged is not None:
            late = spans <= self.judged
            spans[late] = self.open[0].first if self.open else self.judged + 1
        sizes = np.maximum(rows.examples, 1)
        for span in np.unique(spans):
            places = np.flatnonzero(spans == span)
            while len(places):
                window = self._window(int(span))
                left = self._options.rows - window.size
                end = int(np.searchsorted(np.cumsum(sizes[places]), left)) + 1
                some, places = places[:end], places[end:]
                window.add(rows.taken(some), late[some], ahead[some], self._slow_s, self._sampled)
                if window.size >= self._options.rows:
                    self.open.remove(window)
                    yield Full(window, "rows")

    def due(self, clock: float | None = None) -> Iterator[Full]:
        """Gives the windows whose time is over; must be used up.

        Args:
            clock: requests before that time, seconds since 1970, have all come; None: go by the requests' own.
        """
        now = self.newest if clock is None else max(clock, self.newest)
        if not math.isfinite(now):
            return
        current = math.floor((now - self._grace_s) / self._span_s)
        while self.open and self.open[0].last < current:
            window = self.open[0]
            if window.size >= self._options.least:
                self.judged = window.last if self.judged is None else max(window.last, self.judged)
                yield Full(self.open.pop(0), "time")
                continue
            if len(self.open) == 1:
                return  # it waits for the requests of a later span
            window.merge(self.open.pop(1), self._sampled)
            if window.size >= self._options.rows:
                yield Full(self.open.pop(0), "rows")

    def _window(self, span: int) -> Window:
        """The window that is open for a span; made if there is none."""
        for window in self.open:
            if window.first <= span <= window.last:
                return window
        made = Window(span, span, {name: np.zeros(size, np.int64) for name, size in self._sizes.items()})
        self.open.append(made)
        self.open.sort(key=lambda window: window.first)
        return made

    def to_json(self) -> dict[str, Any]:
        """What is open, as JSON types."""
        newest = self.newest if math.isfinite(self.newest) else None
        return {"newest": newest, "judged": self.judged, "open": [window.to_json() for window in self.open]}

    def restore(self, value: Mapping[str, Any]) -> None:
        """Goes on from what `to_json` made."""
        self.newest = -math.inf if value["newest"] is None else value["newest"]
        self.judged = value["judged"]
        self.open = [Window.from_json(window) for window in value["open"]]
