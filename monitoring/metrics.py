"""Metrics of served requests as Prometheus reads them: an observer, `graft serve --metrics`.

The page lies where TensorFlow Serving has it and repeats its two series, with its names and microseconds; beside them
stand Graft's own in seconds, which also know version, signature, transport and status, and what the server and its
process are at.
"""

import threading
from collections.abc import Callable, Mapping

import grpc

from graft.monitoring import process_series, server_series
from graft.monitoring.exposition import head, line, page
from graft.monitoring.histogram import Histogram, Labels
from graft.serving.exchange import REASONS, Exchange
from graft.serving.observers import Observer, Page, Served, ServerState

UNKNOWN = "_unknown"
"""In place of a model, version or signature that the server does not have: clients may name any number of them."""
OTHER = "_other"
MAX_SERIES = 1000
"""Combinations of labels that are kept apart; those that come later (of the 500th version, say) are counted as one."""
TRANSPORTS = ("grpc", "rest")

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
BATCH_BOUNDS = tuple(float(2**power) for power in range(11))
UPSTREAM_BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
"""TensorFlow Serving's buckets: `Exponential(10, 1.8, 33)`, microseconds."""

_LABELS = ("model", "version", "signature", "transport", "status")


class _Series:
    """Requests of one combination of labels."""

    def __init__(self) -> None:
        self.seconds = Histogram(BOUNDS_S)
        self.upstream = Histogram(UPSTREAM_BOUNDS_US)


class Metrics(Observer):
    """Counts requests, how long they took and waited, how many examples they had, and what was refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, ...], _Series] = {}
        self._batches: dict[tuple[str, str], Histogram] = {}
        self._waits = {transport: Histogram(BOUNDS_S) for transport in TRANSPORTS}
        self._refused = {(transport, reason): 0 for transport in TRANSPORTS for reason in REASONS}
        self._state: Callable[[], ServerState] | None = None

    def attach(self, state: Callable[[], ServerState]) -> None:
        """The server's own figures stand on the page too."""
        self._state = state

    def observe(self, served: Served) -> None:
        """Counts one request."""
        version = UNKNOWN if served.version is None else str(served.version)
        key = (
            *(served.model or UNKNOWN, version, served.signature or UNKNOWN),
            *(served.transport, served.code.name),
        )
        examples = max((array.shape[0] for array in served.inputs.values() if array.ndim), default=0)
        with self._lock:
            if key not in self._series and len(self._series) >= MAX_SERIES:
                key = (*[OTHER] * 3, *key[3:])
            series = self._series.setdefault(key, _Series())
            series.seconds.observe(served.seconds)
            series.upstream.observe(served.seconds * 1e6)
            if examples:
                batch = (key[0], key[2])
                if batch not in self._batches:
                    self._batches[batch] = Histogram(BATCH_BOUNDS)
                self._batches[batch].observe(examples)

    def ended(self, exchange: Exchange) -> None:
        """Counts what was refused, and how long the rest had waited."""
        refusal = exchange.refusal
        if refusal is not None:
            with self._lock:
                self._refused[exchange.transport, refusal] += 1
        elif exchange.queued is not None and exchange.started is not None:
            with self._lock:
                self._waits[exchange.transport].observe(exchange.started - exchange.queued)

    def pages(self) -> Mapping[str, Page]:
        """The page that Prometheus reads."""
        return page(self.text)

    def text(self) -> str:
        """All series in the text format."""
        with self._lock:
            found = [
                (key, series.seconds.copy(), series.upstream.copy()) for key, series in sorted(self._series.items())
            ]
            batches = [(key, histogram.copy()) for key, histogram in sorted(self._batches.items())]
            waits = [(transport, histogram.copy()) for transport, histogram in self._waits.items()]
            refused = list(self._refused.items())
        lines = head("graft_requests_total", "counter", "Predict requests that were answered.")
        for key, seconds, _ in found:
            lines.append(line("graft_requests_total", zip(_LABELS, key, strict=True), sum(seconds.counts)))
        lines += head("graft_request_duration_seconds", "histogram", "From reading a request to its answer.")
        for key, seconds, _ in found:
            lines += seconds.lines("graft_request_duration_seconds", tuple(zip(_LABELS, key, strict=True)))
        lines += head("graft_request_batch_size", "histogram", "Examples in a request.")
        for (model, signature), histogram in batches:
            lines += histogram.lines("graft_request_batch_size", (("model", model), ("signature", signature)))
        if self._state is not None:
            lines += head("graft_queue_wait_seconds", "histogram", "A prediction's wait for a thread.")
            for transport, histogram in waits:
                lines += histogram.lines("graft_queue_wait_seconds", (("transport", transport),))
            lines += head("graft_requests_refused_total", "counter", "Predict requests that came to no model.")
            for (transport, reason), count in refused:
                lines.append(
                    line("graft_requests_refused_total", [("transport", transport), ("reason", reason)], count)
                )
            lines += server_series.lines(self._state())
            lines += process_series.lines()
        lines += _upstream(found)
        return "\n".join(lines) + "\n"


def _upstream(found: list[tuple[tuple[str, ...], Histogram, Histogram]]) -> list[str]:
    """TensorFlow Serving's own two."""
    totals: dict[Labels, int] = {}
    latencies: dict[Labels, Histogram] = {}
    for (model, _, _, transport, status), seconds, upstream in found:
        of_status: Labels = (("model_name", model), ("status", status))
        totals[of_status] = totals.get(of_status, 0) + sum(seconds.counts)
        if status == grpc.StatusCode.OK.name:  # upstream times no other
            of_entry: Labels = (("model_name", model), ("API", "Predict"), ("entrypoint", transport.upper()))
            latencies[of_entry] = latencies.get(of_entry, Histogram(UPSTREAM_BOUNDS_US)).plus(upstream)
    lines = head(":tensorflow:serving:request_count", "counter")
    lines += [line(":tensorflow:serving:request_count", labels, count) for labels, count in totals.items()]
    lines += head(":tensorflow:serving:request_latency", "histogram")
    for labels, histogram in latencies.items():
        lines += histogram.lines(":tensorflow:serving:request_latency", labels)
    return lines
