"""OpenTelemetry traces of requests: `graft serve --traces http://HOST:4318`.

A span for the request, and below it one for its wait and one for its prediction. They are made when the request has
ended, from the times that were noted on its way, so nothing of OpenTelemetry runs within a prediction. The caller's
`traceparent` (W3C Trace Context) is the parent; `OTEL_TRACES_SAMPLER` and the other variables of the SDK hold.
"""

import logging
import threading
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import grpc

from graft.models.errors import GraftError
from graft.monitoring import exposition
from graft.monitoring.exposition import head, line
from graft.serving import log_rate
from graft.serving.exchange import Exchange
from graft.serving.observers import Observer, Page

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

PATH = "/v1/traces"
ADVICE = (
    "install opentelemetry-sdk and opentelemetry-exporter-otlp-json-http (or opentelemetry-exporter-otlp-proto-http)"
)
_TIMEOUT_S = 5

logger = logging.getLogger(__name__)
logger.addFilter(log_rate.RepeatFilter())


def exporter_to(address: str) -> "SpanExporter":
    """What sends spans to a collector by OTLP over HTTP.

    Args:
        address: `http://HOST:PORT`; `/v1/traces` is added where there is no path.

    Raises:
        GraftError: the address is none, or no exporter is installed.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GraftError(f"--traces is {address!r}; allowed: http://HOST:PORT or https://HOST:PORT of a collector")
    endpoint = address if parts.path not in ("", "/") else f"{address.rstrip('/')}{PATH}"
    try:
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # type: ignore[no-redef]
                OTLPSpanExporter,
            )
        except ImportError as error:
            raise GraftError(f"--traces: no OpenTelemetry exporter by HTTP is installed ({error}); {ADVICE}") from error
    return OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT_S)


class Traces(Observer):
    """Makes spans of requests.

    Args:
        exporter: takes them, in a thread of its own; what it does not take in time is dropped.

    Raises:
        GraftError: OpenTelemetry's SDK is not installed.
    """

    def __init__(self, exporter: "SpanExporter"):
        try:
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise GraftError(f"--traces: OpenTelemetry's SDK is not installed ({error}); {ADVICE}") from error
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what it says, is said here, and not so often
        self._trace, self._propagator = trace, TraceContextTextMapPropagator()
        self._lock = threading.Lock()
        self._counts = {"made": 0, "exported": 0, "failed": 0}
        self._provider = TracerProvider(resource=Resource.create({"service.name": "graft-serve"}))
        self._provider.add_span_processor(BatchSpanProcessor(_counting(exporter, self._count)))
        self._tracer = self._provider.get_tracer("graft.serving")

    def observe(self, served) -> None:
        """Nothing: `ended` tells of every request."""

    def ended(self, exchange: Exchange) -> None:
        """Makes the request's spans."""
        assert exchange.ended is not None
        trace, sent = self._trace, {"traceparent": exchange.traceparent, "tracestate": exchange.tracestate}
        parent = self._propagator.extract({name: value for name, value in sent.items() if value is not None})
        span = self._tracer.start_span(
            exchange.method,
            parent,
            kind=trace.SpanKind.SERVER,
            attributes=_attributes(exchange),
            start_time=_nanoseconds(exchange, exchange.begun),
        )
        if exchange.code is not grpc.StatusCode.OK:
            span.set_status(trace.Status(trace.StatusCode.ERROR, exchange.code.name))
        within = trace.set_span_in_context(span)
        waits = (
            ("queue", exchange.queued, exchange.started),
            ("run", exchange.started, exchange.finished),
        )
        made = 1
        for name, start, end in waits:
            if start is not None:
                child = self._tracer.start_span(name, within, start_time=_nanoseconds(exchange, start))
                child.end(_nanoseconds(exchange, exchange.ended if end is None else end))
                made += 1
        span.end(_nanoseconds(exchange, exchange.ended))
        if span.get_span_context().trace_flags.sampled:
            self._count("made", made)

    def pages(self) -> Mapping[str, Page]:
        """Its series on the page for Prometheus."""
        return exposition.page(self.text, needed=False)

    def text(self) -> str:
        """All series in the text format. Spans that were made and are in no other series wait, or found no room."""
        with self._lock:
            counts = list(self._counts.items())
        lines = []
        for what, count in counts:
            name = f"graft_trace_spans_{what}_total"
            lines += [*head(name, "counter", f"Spans of traces that were {what}."), line(name, (), count)]
        return "\n".join(lines) + "\n"

    def close(self) -> None:
        """Exports what waits."""
        self._provider.shutdown()

    def _count(self, what: str, count: int) -> None:
        with self._lock:
            self._counts[what] += count
        if what == "failed":
            logger.error("%d spans could not be exported: the collector does not take them", count)


def _counting(exporter: "SpanExporter", count: Any) -> "SpanExporter":
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Counting(SpanExporter):
        def export(self, spans):
            result = SpanExportResult.FAILURE
            try:
                result = exporter.export(spans)
            finally:
                count("exported" if result is SpanExportResult.SUCCESS else "failed", len(spans))
            return result

        def shutdown(self):
            exporter.shutdown()

        def force_flush(self, timeout_millis=30000):
            return exporter.force_flush(timeout_millis)

    return Counting()


def _nanoseconds(exchange: Exchange, moment: float) -> int:
    """A moment of the clock `time.monotonic` in nanoseconds since 1970."""
    return int((exchange.wall_time + moment - exchange.begun) * 1e9)


def _attributes(exchange: Exchange) -> dict[str, str | int]:
    values = {
        "graft.request_id": exchange.request_id,
        "graft.transport": exchange.transport,
        "graft.model": exchange.model,
        "graft.version": exchange.version,
        "graft.signature": exchange.signature,
        "graft.code": exchange.code.name,
        "graft.refusal": exchange.refusal,
        "http.response.status_code": exchange.http_status,
    }
    return {name: value for name, value in values.items() if value is not None}
