"""What a monitor tells Prometheus: a text file for the node exporter's textfile collector.

https://github.com/prometheus/node_exporter#textfile-collector
"""

import dataclasses
from collections.abc import Iterable, Mapping

from graft.monitoring.drift.results import Test, Window
from graft.monitoring.exposition import head, line


@dataclasses.dataclass(frozen=True)
class Health:
    """How the monitor itself is.

    Attributes:
        model: that it watches.
        last_pass: when a pass last ended well, seconds since 1970; None if none did.
        failing: whether the last pass failed.
        totals: counters, see `state.State.totals`.
        waiting_labels: labels without a request in the log.
    """

    model: str
    last_pass: float | None = None
    failing: bool = False
    totals: Mapping[str, int] = dataclasses.field(default_factory=dict)
    waiting_labels: int = 0


def text(windows: Iterable[Window], health: Health) -> str:
    """All series: of the newest version's last window of requests, and its last of labels.

    Args:
        windows: of the model, in the order in which they were judged.
        health: of the monitor.
    """
    latest: dict[str, Window] = {}
    for window in windows:
        if window.kind not in latest or window.version >= latest[window.kind].version:
            latest[window.kind] = window  # the last requests to an old version hide nothing
    found = list(latest.values())
    model = ("model", health.model)
    lines: list[str] = []
    tests = [(test, [model, ("kind", test.group), ("feature", test.signal)]) for w in found for test in _shown(w)]
    for name, words, value in (
        ("statistic", "Size of the change in the last window.", lambda test: test.effect),
        ("threshold", "What it must reach to be an alarm; it must be significant too.", lambda test: test.least_effect),
        ("p_value", "Chance of that change or a larger one if nothing had changed.", lambda test: test.p_value),
        ("alarm", "Whether the change is an alarm.", lambda test: int(test.alarm)),
    ):
        lines += head(f"graft_drift_{name}", "gauge", words)
        lines += [line(f"graft_drift_{name}", labels, value(test)) for test, labels in tests]
    newest = max(found, key=lambda window: window.number, default=None)
    lines += head("graft_drift_windows_drifted", "gauge", "Windows in a row that drifted, the last one included.")
    for kind, count in (newest.in_row if newest else {}).items():
        lines.append(line("graft_drift_windows_drifted", [model, ("kind", kind)], count))
    lines += head("graft_drift_changed", "gauge", "Whether the last window of requests differs from the one before.")
    lines += [line("graft_drift_changed", [model], int(w.changed)) for w in found if w.kind == "requests"]
    times = {
        "last_window_end": ([model], max((window.end for window in found), default=None)),
        "last_pass": ([model], health.last_pass),
    }
    if newest is not None:
        times["reference"] = ([model, ("version", str(newest.version))], newest.reference_time)
    for name, (labels, time) in times.items():
        lines += head(f"graft_drift_{name}_timestamp_seconds", "gauge")
        lines += [] if time is None else [line(f"graft_drift_{name}_timestamp_seconds", labels, time)]
    for name, words, mean in (
        ("quality", "Mean score of labelled requests.", [w.quality for w in found if w.quality]),
        ("quality_estimate", "Mean score, estimated without labels.", [w.estimate for w in found if w.estimate]),
    ):
        lines += head(f"graft_drift_{name}", "gauge", words)
        for bound in ("low", "mean", "high"):
            labels = [model, ("bound", bound)]
            lines += [line(f"graft_drift_{name}", labels, getattr(one, bound)) for one in mean]
    lines += head("graft_drift_failing", "gauge", "Whether the monitor's last pass failed.")
    lines.append(line("graft_drift_failing", [model], int(health.failing)))
    lines += head("graft_drift_waiting_labels", "gauge", "Labels without a request in the log.")
    lines.append(line("graft_drift_waiting_labels", [model], health.waiting_labels))
    lines += head("graft_drift_counted_total", "counter", "What was met in the request log, by what it was.")
    for name, count in sorted(health.totals.items()):
        lines.append(line("graft_drift_counted_total", [model, ("what", name)], count))
    return "\n".join(lines) + "\n"


def _shown(window: Window) -> Iterable[Test]:
    """Of the comparisons of a signal with what it should be the first, and in its place one that is an alarm."""
    chosen: dict[str, Test] = {}
    for test in (test for test in window.tests if test.against != "previous"):
        if test.signal not in chosen or (test.alarm and not chosen[test.signal].alarm):
            chosen[test.signal] = test
    return chosen.values()
