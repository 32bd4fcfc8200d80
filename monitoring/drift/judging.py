"""What a full window says: all its comparisons as one look, and whether one of them is an alarm."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from graft.models.signals import quality
from graft.models.signals.histogram import Categories
from graft.monitoring.drift import results
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.drift.rows import OK, STATUSES
from graft.monitoring.drift.statistics import Form, beyond, distance, holm, p_value, spent
from graft.monitoring.drift.watched import Watched
from graft.monitoring.drift.windows import LATENCY_S, Full, Window

VECTORS = "feature_vector"
"""The signal that is all of the input, as the model sees it."""
SLOW_SHARE = 0.05
"""Share of requests that may take longer than `latency_ms`."""
_ESTIMATE_MISSES = 0.05
_QUANTILES = (0.5, 0.95, 0.99)


@dataclasses.dataclass
class Memory:
    """What is kept of a version's windows, all JSON types.

    Attributes:
        looks: how many it has had.
        first: `errors` and `latency` of the first window of requests; None before it.
        previous: counts of the window before; None before the first.
        in_row: windows in a row that drifted, by group.
    """

    looks: int = 0
    first: dict[str, list[int]] | None = None
    previous: dict[str, list[int]] | None = None
    in_row: dict[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Compared:
    """A comparison before it is known what else is compared."""

    signal: str
    group: results.Group
    against: results.Against
    rows: int
    effect: float
    least_effect: float
    p_value: float


def judged(compared: list[Compared], memory: Memory, false_alarms: float) -> tuple[results.Test, ...]:
    """The next look of a version: which comparisons are alarms. Changes `memory`."""
    memory.looks += 1
    level = spent(false_alarms, memory.looks)
    significant = holm([one.p_value for one in compared], level)
    tests = tuple(
        results.Test(**dataclasses.asdict(one), level=level, alarm=found and one.effect >= one.least_effect)
        for one, found in zip(compared, significant, strict=True)
    )
    for group in {test.group for test in tests}:
        memory.in_row[group] = memory.in_row.get(group, 0) + 1 if has_drifted(tests, group) else 0
    return tests


def has_drifted(tests: Iterable[results.Test], group: results.Group | None = None) -> bool:
    """Whether a window is not as it should be. That it is not as the one before may also mean that it is so again."""
    return any(test.alarm and test.against != "previous" for test in tests if group in (None, test.group))


def of_requests(
    full: Full,
    model: str,
    watched: Watched,
    memory: Memory,
    options: DriftOptions,
    now: float,
    vectors: results.Vectors | None = None,
) -> results.Window:
    """Judges a window of requests.

    Args:
        full: the window.
        model: its model.
        watched: its version.
        memory: of the version; it is brought up to date.
        options: what is an alarm.
        now: seconds since 1970.
        vectors: of the window; None where they are not asked for.
    """
    window = full.window
    counts = {name: count.tolist() for name, count in window.counts.items()}
    compared = [*_signals(counts, watched, memory, options), *_service(window, memory, options)]
    compared += _vectors(vectors, options)
    tests = judged(compared, memory, options.false_alarms)
    if memory.first is None:
        memory.first = {"errors": _errors(window), "latency": window.latency.tolist()}
    memory.previous = counts
    span_s = options.window.hours * 3600
    known = window.begin <= window.end  # else no request of it had a time that was believed
    return results.Window(
        kind="requests",
        model=model,
        version=watched.version,
        number=memory.looks,
        begin=window.begin if known else window.first * span_s,
        end=window.end if known else (window.last + 1) * span_s,
        closed=now,
        reason=full.reason,
        requests=window.requests,
        rows=window.rows,
        late=window.late,
        ahead=window.ahead,
        unmeasured=dict(sorted(window.unmeasured.items())),
        violations=dict(sorted(window.violations.items())),
        statuses={name: int(count) for name, count in zip(STATUSES, window.codes, strict=True) if count},
        latency_s=_latency(window.latency),
        counts={name: tuple(count) for name, count in counts.items()},
        tests=tests,
        estimate=_estimate(counts, watched),
        vectors=vectors,
        drifted=has_drifted(tests),
        changed=any(test.alarm and test.against == "previous" for test in tests),
        in_row=dict(sorted(memory.in_row.items())),
        reference_time=watched.pushed,
    )


def _signals(
    counts: Mapping[str, list[int]], watched: Watched, memory: Memory, options: DriftOptions
) -> Iterator[Compared]:
    reference = watched.reference
    others: list[tuple[results.Against, Mapping[str, Any]]] = [("reference", reference.counts)]
    if memory.previous is not None:
        others.append(("previous", memory.previous))
    for name, signal in reference.signals.items():
        form = Form.CATEGORIES if isinstance(signal, Categories) else Form.ORDERED
        for against, before in others:
            if sum(counts[name]) and sum(before[name]):
                yield Compared(
                    signal=name,
                    group=reference.group[name],
                    against=against,
                    rows=sum(counts[name]),
                    effect=distance(before[name], counts[name]),
                    least_effect=options.least_effect,
                    p_value=p_value(before[name], counts[name], form),
                )


def _vectors(vectors: results.Vectors | None, options: DriftOptions) -> Iterator[Compared]:
    if vectors is not None and vectors.auc is not None:
        yield Compared(
            signal=VECTORS,
            group="input",
            against="reference",
            rows=vectors.rows,
            effect=max(0.0, 2 * vectors.auc.mean - 1),
            least_effect=2 * options.vectors.least_auc - 1,
            p_value=vectors.p_value,
        )


def _service(window: Window, memory: Memory, options: DriftOptions) -> Iterator[Compared]:
    answered, failed = errors = _errors(window)
    share = failed / window.requests

    def one(signal: str, against: results.Against, rows: int, effect: float, least: float, p: float) -> Compared:
        return Compared(signal, "service", against, rows, effect, least, p)

    if memory.first is not None:
        before = memory.first["errors"]
        rise = max(0.0, share - before[1] / sum(before))
        p = p_value(before, errors, Form.RISING)
        yield one("errors", "first", window.requests, rise, options.least_errors, p)
        if answered and sum(memory.first["latency"]):
            effect = distance(memory.first["latency"], window.latency.tolist())
            p = p_value(memory.first["latency"], window.latency.tolist(), Form.RISING)
            yield one("latency", "first", answered, effect, options.least_effect, p)
    if options.most_errors is not None:
        p = beyond(failed, window.requests, options.most_errors)
        yield one("errors", "limit", window.requests, max(0.0, share - options.most_errors), 0.0, p)
    if options.latency_ms is not None and answered:
        p = beyond(window.slow, answered, SLOW_SHARE)
        yield one("latency", "limit", answered, max(0.0, window.slow / answered - SLOW_SHARE), 0.0, p)


def _errors(window: Window) -> list[int]:
    """Answered and failed requests."""
    answered = int(window.codes[OK])
    return [answered, window.requests - answered]


def _latency(counts: np.ndarray) -> dict[str, float]:
    """Upper bounds of the quantiles; the last bin has none, and gives that of the one before."""
    if not counts.sum():
        return {}
    shares = np.cumsum(counts) / counts.sum()
    return {str(q): LATENCY_S[min(int(np.argmax(shares >= q)), len(LATENCY_S) - 1)] for q in _QUANTILES}


def _estimate(counts: Mapping[str, list[int]], watched: Watched) -> results.Mean | None:
    """See `models.signals.quality.estimated`."""
    kept = watched.reference.quality
    rows = sum(counts.get(kept["by"], ())) if kept["by"] is not None else 0
    if not rows or kept["mean"] is None:
        return None
    found = quality.estimated(kept, counts[kept["by"]])
    return results.Mean(mean=found.mean, low=found.low, high=found.high, miss=_ESTIMATE_MISSES, rows=rows)
