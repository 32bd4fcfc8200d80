"""Spans of requests, with the SDK's exporter in memory, and sent to a collector where the exporter is installed."""

import http.server
import json
import sys
import threading
import urllib.request

import grpc
import pytest
from small_models import save_linear

from graft.models.errors import GraftError
from graft.monitoring.tracing import Traces, exporter_to
from graft.serving.exchange import PREDICT, Exchange
from graft.serving.server import EmbeddedServer

sdk = pytest.importorskip("opentelemetry.sdk.trace.export", reason="opentelemetry-sdk is not installed")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def kept():
    exporter = memory.InMemorySpanExporter()
    traces = Traces(exporter)
    yield traces, exporter
    traces.close()


def ended(exchange: Exchange) -> Exchange:
    exchange.ended = exchange.begun + 1
    return exchange


def spans(traces: Traces, exporter) -> dict:
    traces._provider.force_flush()
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_served_request_is_three_spans_below_the_callers(tmp_path, kept):
    traces, exporter = kept
    save_linear(tmp_path / "m" / "1", 0.5, 2.0)
    with EmbeddedServer(models={"m": tmp_path / "m"}, observers=[traces]) as server:
        body = b'{"inputs": [1.0]}'
        headers = {"traceparent": PARENT, "X-Request-Id": "mine"}
        request = urllib.request.Request(f"{server.rest_address}/v1/models/m:predict", body, headers)
        urllib.request.urlopen(request, timeout=30).read()
        found = spans(traces, exporter)
    assert found.keys() == {"predict", "queue", "run"}
    whole = found["predict"]
    assert (
        f"{whole.context.trace_id:032x}" == PARENT.split("-")[1]
        and f"{whole.parent.span_id:016x}" == "b7ad6b7169203331"
    )
    assert whole.attributes["graft.request_id"] == "mine" and whole.attributes["graft.model"] == "m"
    assert whole.attributes["http.response.status_code"] == 200 and whole.status.is_ok
    for part in (found["queue"], found["run"]):
        assert part.parent.span_id == whole.context.span_id
        assert whole.start_time <= part.start_time <= part.end_time <= whole.end_time
    assert found["queue"].end_time == found["run"].start_time


def test_a_failed_request_is_marked_and_a_refused_one_has_no_parts(kept):
    traces, exporter = kept
    refused = Exchange("grpc", "id", PREDICT, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
    refused.refuse("queue_full")
    traces.ended(ended(refused))
    [(name, span)] = spans(traces, exporter).items()
    assert (name, span.status.is_ok, span.status.description) == ("predict", False, "RESOURCE_EXHAUSTED")
    assert span.attributes["graft.refusal"] == "queue_full" and span.parent is None
    assert (
        "graft_trace_spans_made_total 1\n" in traces.text() and "graft_trace_spans_exported_total 1\n" in traces.text()
    )


@pytest.mark.parametrize(
    ("parent", "exported", "kept_trace"),
    [(PARENT, 1, True), (PARENT[:-1] + "0", 0, True), ("00-zz-01", 1, False), (None, 1, False)],
)
def test_the_callers_decision_holds_where_it_is_sound(kept, parent, exported, kept_trace):
    traces, exporter = kept
    traces.ended(ended(Exchange("rest", "id", "status", parent, code=grpc.StatusCode.OK)))
    found = spans(traces, exporter)
    assert len(found) == exported and f"graft_trace_spans_made_total {exported}\n" in traces.text()
    assert all((span.parent is not None) == kept_trace for span in found.values())


def test_spans_that_nobody_takes_are_counted():
    class Deaf(sdk.SpanExporter):
        def export(self, spans):
            return sdk.SpanExportResult.FAILURE

        def shutdown(self):
            pass

    traces = Traces(Deaf())
    traces.ended(ended(Exchange("rest", "id", "status", code=grpc.StatusCode.OK)))
    traces.close()
    assert "graft_trace_spans_failed_total 1\n" in traces.text()
    assert "graft_trace_spans_exported_total 0\n" in traces.text()


@pytest.mark.parametrize("address", ["localhost:4318", "ftp://host", "http://", ""])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(GraftError, match=r"--traces is .*; allowed: http://HOST:PORT"):
        exporter_to(address)


def test_what_is_not_installed_is_named(monkeypatch):
    for name in (
        "opentelemetry.exporter.otlp.json.http.trace_exporter",
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    ):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GraftError, match="install opentelemetry-sdk and opentelemetry-exporter-otlp-json-http"):
        exporter_to("http://localhost:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(GraftError, match="SDK is not installed"):
        Traces(memory.InMemorySpanExporter())


def test_a_collector_gets_them_where_the_exporter_is_installed():
    pytest.importorskip(
        "opentelemetry.exporter.otlp.json.http.trace_exporter",
        reason="opentelemetry-exporter-otlp-json-http is not installed (it is not in requirements.lock)",
    )
    got = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        traces = Traces(exporter_to(f"http://127.0.0.1:{server.server_port}"))
        traces.ended(ended(Exchange("rest", "id", "status", PARENT, code=grpc.StatusCode.OK)))
        traces.close()
        server.shutdown()
    [(path, sent)] = got
    [span] = sent["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (path, span["name"], span["traceId"]) == ("/v1/traces", "status", PARENT.split("-")[1])
