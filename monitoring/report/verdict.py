"""The state of a watched model in one sentence."""

import dataclasses
from typing import Literal

from graft.monitoring.drift.results import Group, Mean, Window
from graft.monitoring.report.findings import Findings
from graft.monitoring.report.words import count, moment, named, share, span

State = Literal["well", "drift", "quality", "unknown"]
_STALE = 2.0
"""Windows' lengths after which the newest one says nothing of now."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the report says first.

    Attributes:
        state: `quality` where labels show a fall, `drift` where something else moved, `unknown` where it cannot be
            told how things are now.
        sentence: for people.
        since: when that began, seconds since 1970.
    """

    state: State
    sentence: str
    since: float | None = None


def verdict(found: Findings) -> Verdict:
    """Judges by the last windows of the newest version."""
    requests, labels = found.last("requests"), found.last("labels")
    if found.version is None or requests is None:
        return Verdict("unknown", f"Cannot tell: {_why_none(found)}.")
    before = _last_known(found, requests, labels)
    served = found.pointer.version if found.pointer else None
    if found.asked is None and served is not None and served > found.version:
        why = f"version {served} is served, and {_why_none(found, served)}"
        return Verdict("unknown", f"Cannot tell: {why}. Version {found.version} before it: {_lowered(before.sentence)}")
    age = found.now - requests.end
    if age > _STALE * found.options.window.hours * 3600:
        why = f"the newest judged request is of {moment(requests.end)}, {span(age)} ago"
        return Verdict("unknown", f"Cannot tell how it is now: {why}. Then: {_lowered(before.sentence)}", before.since)
    return before


def _last_known(found: Findings, requests: Window, labels: Window | None) -> Verdict:
    parts: list[str] = []
    state: State = "well"
    begins: list[float] = []
    if labels is not None and labels.drifted:
        state = "quality"
        begins.append(since(found, "quality"))
        parts.append(f"quality fell{_quality(found, labels.quality)} since {moment(begins[-1])}")
    moved = _alarms(requests, "input", "prediction")
    if moved:
        state = "drift" if state == "well" else state
        begins.append(since(found, "input", "prediction"))
        parts.append(f"drift in {named(moved)} since {moment(begins[-1])}")
    service = _alarms(requests, "service")
    if service:
        state = "drift" if state == "well" else state
        begins.append(since(found, "service"))
        parts.append(f"{named(service)} rose since {moment(begins[-1])}")
    if parts:
        sentence = "; ".join(parts)
        return Verdict(state, f"{sentence[0].upper()}{sentence[1:]}.", min(begins))
    told = any(test.group in ("input", "prediction") for test in requests.tests)
    if not told:
        why = ", ".join(f"{rows:,} without {name}" for name, rows in requests.unmeasured.items())
        return Verdict("unknown", f"Cannot tell: no signal could be compared{f' ({why})' if why else ''}.")
    of = f"the last {count(requests.rows, 'example')}, until {moment(requests.end)}, are as the reference's"
    known = (
        f"; labels show no fall{_quality(found, labels.quality)}" if labels else "; no labels came to check quality by"
    )
    return Verdict("well", f"All well: {of}{known}.")


def since(found: Findings, *groups: Group) -> float:
    """When the streak of alarms of these groups began that the last window is of, seconds since 1970."""
    kind = "labels" if "quality" in groups else "requests"
    begin = found.now
    for window in reversed(found.of(kind)):
        if not _alarms(window, *groups):
            break
        begin = window.begin
    return begin


def _alarms(window: Window, *groups: Group) -> list[str]:
    tests = [test for test in window.alarms if test.group in groups and test.against != "previous"]
    return list(dict.fromkeys(test.signal for test in sorted(tests, key=lambda test: (-test.effect, test.signal))))


def _quality(found: Findings, mean: Mean | None) -> str:
    """Of labels, in brackets."""
    if mean is None:
        return ""
    before = found.watched.reference.quality.get("mean") if found.watched else None
    beside = f" against {before:.3f} of the reference" if before is not None else ""
    return f" (mean score {mean.mean:.3f}, {share(1 - mean.miss)} interval {mean.low:.3f} to {mean.high:.3f}{beside})"


def _why_none(found: Findings, version: int | None = None) -> str:
    seen = found.seen
    if seen and seen.unknown and (version is None or version in seen.unknown):
        number = max(seen.unknown) if version is None else version
        requests, reason = seen.unknown[number]
        return f"{count(requests, 'request')} to version {number} cannot be watched ({reason})"
    waiting = (sum(seen.open.values()) if version is None else seen.open.get(version, 0)) if seen else 0
    least, rows = found.options.window.least, found.options.window.rows
    return f"no window of it is full yet; {count(waiting, 'example')} so far, and a window has {least:,} to {rows:,}"


def _lowered(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
