"""gRPC callers that do not go on: predictions, those of REST too, and health are answered, and nothing is held."""

import contextlib
import socket
import threading

import grpc
import http2
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_process import SHORT, settle

from graft.serving import tensors
from graft.serving.client import Client
from graft.serving.protos import predict_pb2, prediction_service_pb2_grpc

pytestmark = pytest.mark.slow

PREDICT = "/tensorflow.serving.PredictionService/Predict"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
WATCH = "/grpc.health.v1.Health/Watch"
PATIENCE_S = 60.0
X = np.float32([2.0])


def connect(server) -> socket.socket:
    host, _, port = server.grpc.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(1 << 16):
            received += chunk
    return received


def request() -> predict_pb2.PredictRequest:
    sent = predict_pb2.PredictRequest()
    sent.model_spec.name = "m"
    sent.inputs["x"].CopyFrom(tensors.to_proto(X))
    return sent


def answered(server) -> bool:
    with Client(server.grpc, "m", deadline_s=PATIENCE_S) as client:
        return client.predict({"x": X})["y"].tolist() == [3.0] and client.status()[0]["state"] == "AVAILABLE"


def test_half_a_message_takes_no_thread_from_predictions(attacked):
    before = attacked.usage()
    connections = [connect(attacked) for _ in range(3)]
    try:
        attackers = [http2.Peer(connection) for connection in connections]
        for attacker, method in zip(attackers, (PREDICT, STATUS, WATCH), strict=True):
            for stream in range(1, 101, 2):
                attacker.send(http2.call(stream, method) + http2.message(stream, b"half", claimed=1 << 20))
        for _ in range(5):
            assert answered(attacked)
        assert all(attacker.closed(PATIENCE_S) for attacker in attackers), "idle, once their calls had been ended"
    finally:
        for connection in connections:
            connection.close()
    settle(attacked, before.files)


def test_a_caller_that_keeps_its_connection_alive_and_sends_no_message_is_cut_off(attacked):
    """Its connection is sound and its deadline far: only the server's own limit ends the calls."""
    gate = threading.Event()

    def never():
        gate.wait(PATIENCE_S)
        yield b""

    with grpc.insecure_channel(attacked.grpc) as channel:
        calls = [channel.stream_unary(method).future(never()) for method in (PREDICT, STATUS) for _ in range(30)]
        for _ in range(5):
            assert answered(attacked)
        assert {call.code() for call in calls} == {grpc.StatusCode.CANCELLED}
        gate.set()
    assert "its message did not come" in attacked.log.read_text()


def test_answers_that_are_not_taken_hold_nothing_for_long(attacked):
    before = attacked.usage()
    sent = request()
    sent.inputs["x"].tensor_shape.dim[0].size = 100_000  # one value stands for all, and the answer has 400 KB
    with connect(attacked) as connection:
        attacker = http2.Peer(connection, window=0)
        for stream in range(1, 41, 2):
            attacker.send(http2.call(stream, PREDICT) + http2.message(stream, sent.SerializeToString()))
        for _ in range(5):
            assert answered(attacked)
        assert attacker.closed(PATIENCE_S)
    settle(attacked, before.files)


@pytest.mark.parametrize("sent", [b"", http2.PREFACE[:10], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 100])
def test_connections_that_never_become_grpc_are_closed(attacked, sent):
    before = attacked.usage().files
    with connect(attacked) as connection:
        connection.sendall(sent)
        assert answer(connection).find(b"grpc-status") < 0
    settle(attacked, before)


def test_idle_connections_are_closed_and_their_number_is_bounded(attacked):
    before = attacked.usage().files
    attackers = [connect(attacked) for _ in range(3 * SHORT["connections"])]
    try:
        peers = []
        for connection in attackers:
            with contextlib.suppress(OSError):  # refused already
                peers.append(http2.Peer(connection))
        assert attacked.usage().files < before + 2 * SHORT["connections"]
        assert all(peer.closed(PATIENCE_S) for peer in peers)
        assert answered(attacked)
        settle(attacked, before)
    finally:
        for connection in attackers:
            connection.close()


def code_of(call, sent, **options) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=PATIENCE_S, **options)
    return caught.value.code(), caught.value.details()


def test_bytes_that_are_no_message_are_the_callers_fault(attacked):
    with grpc.insecure_channel(attacked.grpc) as channel:
        for method in (PREDICT, STATUS):
            code, text = code_of(channel.unary_unary(method), b"\xff" * 100)
            assert code is grpc.StatusCode.INVALID_ARGUMENT and "cannot be read" in text
        code, text = code_of(channel.stream_unary(PREDICT), iter([]))
        assert code is grpc.StatusCode.INVALID_ARGUMENT and "without a message" in text
        # One message is what the call takes; what follows it is not read.
        assert channel.stream_unary(PREDICT)(iter([request().SerializeToString()] * 3), timeout=PATIENCE_S)
    assert answered(attacked)


def test_messages_that_grow_when_they_are_read_are_refused(attacked):
    """16 MB of empty variants would take 1.3 GB, and 16 MB of a status request much of that."""
    variants = b"\x7a\0" * (8 << 20)
    sizes = [len(variants), len(variants) + 5]
    varint = [bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21]) for size in sizes]
    sent = b"\x12" + varint[1] + b"\x12" + varint[0] + variants
    before = attacked.usage().memory
    with grpc.insecure_channel(attacked.grpc) as channel:
        code, text = code_of(channel.unary_unary(PREDICT), sent)
        assert code is grpc.StatusCode.INVALID_ARGUMENT and "resources or variants" in text
        code, text = code_of(channel.unary_unary(STATUS), sent)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and "only Predict takes more than 65536" in text
    assert attacked.usage().memory - before < 300 << 20


def test_metadata_is_bounded(attacked):
    with grpc.insecure_channel(attacked.grpc) as channel:
        call = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
        code, _ = code_of(call, request(), metadata=[("a", "b" * 100_000)])
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert answered(attacked)


def test_a_watch_on_health_would_stay_open_for_ever(attacked):
    with grpc.insecure_channel(attacked.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        list(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
