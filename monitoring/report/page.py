"""The page of a monitor's report: what each part says, and the HTML of all of it."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jinja2

from graft.models.text import printable
from graft.monitoring.duration import seconds
from graft.monitoring.report import charts, words
from graft.monitoring.report.examples import Shown
from graft.monitoring.report.findings import Findings
from graft.monitoring.report.verdict import Verdict

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_MOST_EVENTS = 30
_MOST_TESTS = 12

_COUNTED = {
    "damaged_files": "log files that are cut or corrupted; what stands before the damage was read",
    "foreign_records": "records that no request log of Graft wrote",
    "gone_files": "log files that retention deleted before they were read",
    "repeated": "records of a request that was counted already",
    "late": "requests that came after their span had been judged; they are in a later window",
    "ahead": "requests with a time in the future",
    "other_models": "requests to other models",
    "no_model": "requests to no model that the server had",
    "no_version": "requests that found no version",
    "labels_beyond": "labels for a row that the request does not have",
    "labels_unusable": "labels that the target does not know",
    "labels_unanswered": "labels whose answer is not in the log",
    "labels_unknown": "labels of requests to a version without a reference",
}


def render(found: Findings, state: Verdict, shown: Shown) -> str:
    """The page."""
    return _environment().get_template("report.html.j2").render(
        found=found,
        verdict=state,
        shown=shown,
        requests=found.last("requests"),
        labels=found.last("labels"),
        tests=found.tests[:_MOST_TESTS],
        more_tests=max(0, len(found.tests) - _MOST_TESTS),
        histograms=charts.histograms(found),
        timeline=charts.timeline(found),
        scores=charts.scores(found),
        events=sorted(events(found), key=lambda event: -event[0])[:_MOST_EVENTS],
        unread=list(unread(found)),
        reference=found.watched.reference if found.watched else None,
        faults=list(dict.fromkeys([*found.faults, *shown.faults])),
    )  # fmt: skip


def events(found: Findings) -> Iterator[tuple[float, str, str]]:
    """What happened: time, kind (`push`, `served`, `alarm`, `calm`, `retrain`) and words."""
    for action in found.actions:
        yield action.time, "retrain", action.words
    for push in found.pushes:
        if push.time is not None:
            yield push.time, "push", f"version {push.version} pushed{f' by run {push.run}' if push.run else ''}"
    if found.pointer is not None and (time := seconds(found.pointer.time)) is not None:
        pinned = ", pinned: pushes do not replace it" if found.pointer.pinned else ""
        yield time, "served", f"version {found.pointer.version} is served from now on{pinned}"
    before: dict[tuple[int, str], set[str]] = {}
    for window in found.windows:
        key = (window.version, window.kind)
        alarms = {test.signal for test in window.alarms if test.against != "previous"}
        of = f"version {window.version}, window {window.number}"
        if begun := sorted(alarms - before.get(key, set())):
            yield window.closed, "alarm", f"alarm: {words.named(begun, 6)} ({of})"
        if ended := sorted(before.get(key, set()) - alarms):
            yield window.closed, "calm", f"no alarm any more: {words.named(ended, 6)} ({of})"
        before[key] = alarms


def unread(found: Findings) -> Iterator[tuple[int, str]]:
    """What the monitor could not use, and how often."""
    totals = found.seen.totals if found.seen else {}
    for name, meaning in _COUNTED.items():
        if totals.get(name):
            yield totals[name], meaning
    for version, (requests, reason) in (found.seen.unknown if found.seen else {}).items():
        yield requests, f"requests to version {version}, which is not watched: {reason}"
    last = found.last("requests")
    for name, rows in (last.unmeasured if last else {}).items():
        yield rows, f"examples of the last window whose {name} were not logged, or as hashes"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_one_line,
    )
    filters: dict[str, Callable] = {
        "moment": words.moment,
        "share": words.share,
        "luck": words.luck,
        "count": words.count,
        "vectors": words.vectors,
    }
    environment.filters.update(filters)
    return environment


def _one_line(value: Any) -> Any:
    """Text from outside stays on its line, and turns no direction; it is escaped afterwards."""
    return printable(value) if type(value) is str else value
