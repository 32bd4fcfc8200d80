"""What is noted of each request on its way, over both transports, whatever its method and however it ends."""

import http.client
import json
import threading
import urllib.parse

import grpc
import numpy as np
import pytest
from small_models import save_zoo

from graft.serving.client import Client, ClientError
from graft.serving.exchange import PREDICT, REASONS, Exchange
from graft.serving.observers import Observer
from graft.serving.prediction_pool import PredictionPool
from graft.serving.server import EmbeddedServer

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Notes(Observer):
    """Keeps what has ended."""

    def __init__(self):
        self.exchanges, self.state, self._came = [], None, threading.Condition()

    def attach(self, state):
        self.state = state

    def observe(self, served):
        pass

    def ended(self, exchange):
        with self._came:
            self.exchanges.append(exchange)
            self._came.notify_all()

    def take(self, count: int) -> list[Exchange]:
        """So many; gRPC's caller may have its answer before the observer is told."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.exchanges) >= count, 30)
            taken, self.exchanges = self.exchanges, []
        return taken


class Faulty(Observer):
    def observe(self, served):
        pass

    def ended(self, exchange):
        raise RuntimeError("no disk")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    notes = Notes()
    folder = save_zoo(tmp_path_factory.mktemp("zoo") / "1").parent
    with EmbeddedServer(models={"zoo": folder}, observers=[Faulty(), notes], max_message_bytes=1 << 16) as server:
        yield server, notes


def rest(server, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.rest_address).netloc, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_a_prediction_is_noted_with_its_sizes_its_waits_and_its_trace(served):
    server, notes = served
    body = json.dumps({"inputs": {"s": ["a"]}, "signature_name": "echo"}).encode()
    status, content = rest(
        server, "POST", "/v1/models/zoo:predict", body, traceparent=TRACE, **{"X-Request-Id": "mine"}
    )
    assert status == 200, content
    [found] = notes.take(1)
    assert (found.transport, found.method, found.request_id, found.traceparent) == ("rest", PREDICT, "mine", TRACE)
    assert (found.model, found.version, found.signature) == ("zoo", 1, "echo")
    assert (found.received_bytes, found.sent_bytes, found.http_status) == (len(body), len(content), 200)
    assert found.code is grpc.StatusCode.OK and found.reached and found.refusal is None
    assert found.begun <= found.queued <= found.started <= found.finished <= found.ended

    with Client(server.grpc_address, "zoo") as client:
        client.predict({"s": np.array([b"a"], object)}, "echo", request_id="second")
        client.metadata()
    [found, metadata] = notes.take(2)
    assert (found.transport, found.request_id, found.model, found.signature) == ("grpc", "second", "zoo", "echo")
    assert found.received_bytes > 0 and found.sent_bytes > 0 and found.http_status is None
    assert found.begun <= found.queued <= found.started <= found.finished <= found.ended
    assert (metadata.method, metadata.code, metadata.reached) == ("metadata", grpc.StatusCode.OK, False)


@pytest.mark.parametrize(
    ("method", "path", "body", "noted"),
    [
        ("GET", "/v1/models/zoo", b"", ("status", "OK", None, 200)),
        ("GET", "/v1/models/none", b"", ("status", "NOT_FOUND", None, 404)),
        ("GET", "/elsewhere", b"", ("other", "NOT_FOUND", None, 404)),
        ("POST", "/v1/models/none:predict", b"{}", (PREDICT, "NOT_FOUND", None, 404)),
        ("POST", "/v1/models/zoo:predict", b"x" * (1 << 17), (PREDICT, "RESOURCE_EXHAUSTED", "too_large", 413)),
        (
            "POST",
            "/v1/models/zoo/versions/9" + "9" * 30 + ":predict",
            b"{}",
            (PREDICT, "INVALID_ARGUMENT", "malformed", 400),
        ),
    ],
)
def test_whatever_ends_is_noted(served, method, path, body, noted):
    server, notes = served
    rest(server, method, path, body)
    [found] = notes.take(1)
    assert (found.method, found.code.name, found.refusal, found.http_status) == noted
    assert found.model is None


def test_what_finds_no_room_is_refused_with_its_reason_on_both_transports(served, monkeypatch):
    server, notes = served
    monkeypatch.setattr(PredictionPool, "full", property(lambda pool: True))
    monkeypatch.setattr(PredictionPool, "submit", lambda pool, *_: (_ for _ in ()).throw(pool.refusal()))
    with Client(server.grpc_address, "zoo", retries=0) as client, pytest.raises(ClientError):
        client.predict({"s": np.array([b"a"], object)}, "echo")
    assert rest(server, "POST", "/v1/models/zoo:predict", b"{}")[0] == 429
    for found, transport in zip(notes.take(2), ("grpc", "rest"), strict=True):
        assert (found.transport, found.refusal, found.code.name) == (transport, "queue_full", "RESOURCE_EXHAUSTED")
        assert not found.reached and found.started is None


def test_observers_may_ask_what_the_server_is_at(served):
    _, notes = served
    state = notes.state()
    assert state.models["zoo"].available == (1,) and state.models["zoo"].newest == state.models["zoo"].wanted == 1
    assert state.models["zoo"].load_seconds > 0 and not state.models["zoo"].failed
    assert (state.running, state.waiting, state.held_bytes) == (0, 0, 0) and state.most_predictions > 0


def test_a_pool_says_what_runs_and_what_waits():
    go, runs = threading.Event(), threading.Event()
    with PredictionPool(threads=1, max_calls=3) as pool:
        first = pool.submit(lambda: (runs.set(), go.wait(30)))
        second = pool.submit(lambda: None)
        assert runs.wait(30) and (pool.running, pool.waiting) == (1, 1)
        go.set()
        first.result(30), second.result(30)
    assert (pool.running, pool.waiting) == (0, 0)


def test_the_first_reason_counts_and_each_is_a_known_one():
    exchange = Exchange("grpc", "id", PREDICT, code=grpc.StatusCode.UNAVAILABLE)
    assert exchange.refusal == "other"
    exchange.refuse(None)
    exchange.refuse("ending")
    exchange.refuse("no_room")
    assert exchange.refusal == "ending" and {"ending", "other"} <= {*REASONS}
    exchange.reached = True
    assert exchange.refusal is None


@pytest.mark.parametrize(
    ("headers", "parent", "state"),
    [
        ([("traceparent", TRACE), ("tracestate", "a=1"), ("tracestate", b"b=2")], TRACE, "a=1,b=2"),
        ([("traceparent", TRACE), ("traceparent", TRACE)], None, None),
        ([("tracestate", "a=1")], None, None),
        ([("other", "x")], None, None),
    ],
)
def test_a_trace_is_taken_where_there_is_one(headers, parent, state):
    exchange = Exchange("rest", "id")
    exchange.trace(headers)
    assert (exchange.traceparent, exchange.tracestate) == (parent, state)
