"""Metrics of served requests as Prometheus reads them: an observer, `graft serve --metrics`.

The page lies where TensorFlow Serving has it and repeats its two series, with its names and microseconds; beside them
stand Graft's own in seconds, which also know version, signature, transport and status.
"""

import bisect
import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence

import grpc

from graft.monitoring.exposition import head, line, page
from graft.serving.observers import Observer, Page, Served

UNKNOWN = "_unknown"
"""In place of a model, version or signature that the server does not have: clients may name any number of them."""
OTHER = "_other"
MAX_SERIES = 1000
"""Combinations of labels that are kept apart; those that come later (of the 500th version, say) are counted as one."""

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
UPSTREAM_BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
"""TensorFlow Serving's buckets: `Exponential(10, 1.8, 33)`, microseconds."""

_LABELS = ("model", "version", "signature", "transport", "status")

Labels = tuple[tuple[str, str], ...]


class _Series:
    """Requests of one combination of labels."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.upstream = [0] * (len(UPSTREAM_BOUNDS_US) + 1)


class Metrics(Observer):
    """Counts requests and how long they took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], _Series] = {}

    def observe(self, served: Served) -> None:
        """Counts one request."""
        version = UNKNOWN if served.version is None else str(served.version)
        key = (
            *(served.model or UNKNOWN, version, served.signature or UNKNOWN),
            *(served.transport, served.code.name),
        )
        bucket = bisect.bisect_left(BOUNDS_S, served.seconds)
        upstream = bisect.bisect_left(UPSTREAM_BOUNDS_US, served.seconds * 1e6)
        with self._lock:
            if key not in self._series and len(self._series) >= MAX_SERIES:
                key = (*[OTHER] * 3, *key[3:])
            series = self._series.setdefault(key, _Series())
            series.seconds += served.seconds
            series.counts[bucket] += 1
            series.upstream[upstream] += 1

    def pages(self) -> Mapping[str, Page]:
        """The page that Prometheus reads."""
        return page(self.text)

    def text(self) -> str:
        """All series in the text format."""
        with self._lock:
            found = [
                (key, series.seconds, tuple(series.counts), tuple(series.upstream))
                for key, series in sorted(self._series.items())
            ]
        totals: dict[Labels, int] = {}
        latencies: dict[Labels, tuple[float, Sequence[int]]] = {}
        lines = head("graft_requests_total", "counter", "Predict requests that were answered.")
        for key, _, counts, _ in found:
            lines.append(line("graft_requests_total", zip(_LABELS, key, strict=True), sum(counts)))
        lines += head("graft_request_duration_seconds", "histogram", "From reading a request to its answer.")
        for key, seconds, counts, upstream in found:
            labels = tuple(zip(_LABELS, key, strict=True))
            lines += _histogram("graft_request_duration_seconds", labels, BOUNDS_S, counts, seconds)
            model, transport, status = key[0], key[3], key[4]
            of_status: Labels = (("model_name", model), ("status", status))
            totals[of_status] = totals.get(of_status, 0) + sum(counts)
            if status == grpc.StatusCode.OK.name:  # upstream times no other
                of_entry: Labels = (("model_name", model), ("API", "Predict"), ("entrypoint", transport.upper()))
                sum_us, added = latencies.get(of_entry, (0.0, [0] * len(upstream)))
                latencies[of_entry] = (
                    sum_us + seconds * 1e6,
                    [one + other for one, other in zip(added, upstream, strict=True)],
                )
        lines += head(":tensorflow:serving:request_count", "counter")
        lines += [line(":tensorflow:serving:request_count", labels, count) for labels, count in totals.items()]
        lines += head(":tensorflow:serving:request_latency", "histogram")
        for labels, (sum_us, merged) in latencies.items():
            lines += _histogram(":tensorflow:serving:request_latency", labels, UPSTREAM_BOUNDS_US, merged, sum_us)
        return "\n".join(lines) + "\n"


def _histogram(
    name: str, labels: Labels, bounds: Sequence[float], counts: Sequence[int], total: float
) -> Iterable[str]:
    for bound, count in zip((*(f"{bound:.6g}" for bound in bounds), "+Inf"), itertools.accumulate(counts), strict=True):
        yield line(f"{name}_bucket", (*labels, ("le", bound)), count)
    yield line(f"{name}_sum", labels, total)
    yield line(f"{name}_count", labels, sum(counts))
