"""Whether a retraining starts now: a function of what is known, which reads nothing and asks no clock.

What starts one: drift, or enough new labels; `force` stands for both. What forbids it: a pause, a run under way, too
few labels, and, without `force`, the cool-down. All reasons are told, whichever would have sufficed. Slow or failing
answers are no drift here: no training mends them.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from graft.monitoring.drift.results import Test, Window
from graft.monitoring.report.words import moment, named
from graft.monitoring.request_log.label_spans import span_of
from graft.monitoring.retrain.audit import Event, unended
from graft.monitoring.retrain.options import RetrainOptions

LEARNED = ("passed", "gate_closed")
"""Status of a run that has seen its labels: the same ones would give the same again. One that failed is repeated."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is to be done.

    Attributes:
        start: whether a retraining starts.
        triggers: what asks for one: `drift`, `labels`, `force`.
        because: the same in words.
        against: what forbids it, in words; where nothing asks for one, what is missing.
        span: name of the labels up to now; None without any.
        learned_until: when the newest of them arrived, seconds since 1970.
        figures: what was looked at.
    """

    start: bool
    triggers: tuple[str, ...]
    because: tuple[str, ...]
    against: tuple[str, ...]
    span: str | None
    learned_until: float | None
    figures: dict[str, Any]

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return "; ".join(self.because if self.start else (*self.against, *(f"though {one}" for one in self.because)))

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return dataclasses.asdict(self)


def decide(
    options: RetrainOptions,
    windows: Sequence[Window],
    served: int | None,
    arrived: Sequence[float],
    events: Sequence[Event],
    now: float,
    force: bool = False,
) -> Decision:
    """Decides.

    Args:
        options: of the configuration.
        windows: that the monitor judged, in their order; of other versions than the served one they say nothing.
        served: the version in service; None where there is none.
        arrived: when the label of each example that can be learned from arrived, seconds since 1970, in any order.
        events: of the audit, oldest first.
        now: seconds since 1970.
        force: whether a person asks for it.
    """
    last = next((event for event in reversed(events) if _has_learned(event)), None)
    seen = last.learned_until if last and last.learned_until is not None else None
    new = sum(seen is None or time > seen for time in arrived)
    judged = [w for w in windows if w.version == served and (last is None or w.closed > (last.ended or last.time))]
    drifted = _drifted(judged)
    longest = max(drifted.values(), key=len, default=[])
    ask = list(_asking(options, new, longest, force))
    against = [
        *_forbidding(options, events, now, force),
        *_too_few(options, new, len(arrived), force),
    ]
    if not ask:
        against += _missing(options, new, longest, served)
    newest = max(arrived, default=None)
    return Decision(
        start=bool(ask) and not against,
        triggers=tuple(name for name, _ in ask),
        because=tuple(words for _, words in ask),
        against=tuple(against),
        span=None if newest is None else span_of(newest),
        learned_until=newest,
        figures={
            "served": served,
            "labels": len(arrived),
            "new_labels": new,
            "windows": len(judged),
            "windows_drifted": len(longest),
            "moved": _moved(longest),
        },
    )


def paused(events: Sequence[Event]) -> Event | None:
    """The pause that holds, None if there is none."""
    last = next((event for event in reversed(events) if event.kind in ("paused", "resumed")), None)
    return last if last is not None and last.kind == "paused" else None


def _has_learned(event: Event) -> bool:
    return event.kind == "finished" and event.status in LEARNED


def _drifted(windows: Sequence[Window]) -> dict[str, list[Window]]:
    """By kind, the windows at the end that drifted one after the other."""
    found: dict[str, list[Window]] = {}
    for window in windows:
        found[window.kind] = [*found.get(window.kind, []), window] if _alarms(window) else []
    return found


def _moved(windows: Sequence[Window]) -> list[str]:
    return sorted({test.signal for window in windows for test in _alarms(window)})


def _alarms(window: Window) -> list[Test]:
    """That inputs, answers or quality are not as they should be."""
    return [test for test in window.alarms if test.against != "previous" and test.group != "service"]


def _asking(options: RetrainOptions, new: int, drifted: Sequence[Window], force: bool) -> Iterator[tuple[str, str]]:
    if options.on_drift and len(drifted) >= options.drift_windows:
        yield "drift", f"the last {_windows(drifted)} drifted ({named(_moved(drifted), 6)})"
    if options.new_labels is not None and new >= options.new_labels:
        yield "labels", f"{new} new labels, {options.new_labels} are enough"
    if force:
        yield "force", "asked for by --force"


def _forbidding(options: RetrainOptions, events: Sequence[Event], now: float, force: bool) -> Iterator[str]:
    if (pause := paused(events)) is not None:
        yield f"paused since {moment(pause.time)} UTC: {pause.reason}"
    for start in unended(events):
        where = f" on {start.orchestrator}" if start.orchestrator else ""
        yield f"run {start.run} is under way{where} since {moment(start.time)} UTC"
    ends = [event for event in events if event.kind in ("finished", "killed")]
    last = max(ends, key=lambda event: event.ended or event.time, default=None)
    if last is not None and not force:
        over = (last.ended or last.time) + options.cooldown_hours * 3600
        if now < over:
            yield f"cool-down until {moment(over)} UTC after run {last.run}, which ended {last.status or last.kind}"


def _too_few(options: RetrainOptions, new: int, labels: int, force: bool) -> Iterator[str]:
    counted, what = (labels, "labels") if force else (new, "new labels")
    if counted < options.least_labels:
        yield f"{counted} {what} whose input is in the log; at least {options.least_labels} are needed"


def _missing(options: RetrainOptions, new: int, drifted: Sequence[Window], served: int | None) -> Iterator[str]:
    if options.new_labels is not None:
        yield f"{new} new labels of the {options.new_labels} that start a retraining"
    if options.on_drift:
        found = _windows(drifted) if drifted else "no window"
        yield f"no drift: of version {served} {found} drifted lately, {options.drift_windows} in a row are asked for"


def _windows(windows: Sequence[Window]) -> str:
    what = f"of {windows[0].kind} to version {windows[0].version}" if windows else ""
    return f"{len(windows)} window{'s' if len(windows) > 1 else ''} {what}"
