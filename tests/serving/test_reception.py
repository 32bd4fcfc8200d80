"""Time limits of gRPC calls, the queue for predictions, and bytes of messages under way."""

import contextlib
import gc
import json
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

from graft.serving import tensors
from graft.serving.client import Client
from graft.serving.engine import Engine
from graft.serving.limits import Limits
from graft.serving.protos import predict_pb2, prediction_service_pb2_grpc
from graft.serving.server import EmbeddedServer
from graft.serving.status import ServingError

PATIENCE_S = 60.0


def request(size: int = 1) -> predict_pb2.PredictRequest:
    sent = predict_pb2.PredictRequest()
    sent.model_spec.name = "m"
    sent.inputs["x"].CopyFrom(tensors.to_proto(np.zeros(size, np.float32), as_content=True))
    return sent


def endless() -> predict_pb2.PredictRequest:
    sent = predict_pb2.PredictRequest()
    sent.model_spec.name = "m"
    sent.model_spec.signature_name = "slow"
    sent.inputs["n"].CopyFrom(tensors.to_proto(np.int32(2_000_000_000)))
    return sent


@contextlib.contextmanager
def serving(model, **options):
    with (
        EmbeddedServer(models={"m": model}, **options) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        yield server, prediction_service_pb2_grpc.PredictionServiceStub(channel)


def eventually(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def runs(monkeypatch):
    """How often a model was run; each run waits for `gate`."""

    class Runs:
        count = 0
        gate = threading.Event()

    def run(*_, **__):
        Runs.count += 1
        assert Runs.gate.wait(PATIENCE_S)
        return {"y": np.float32([1.0])}

    monkeypatch.setattr(Engine, "run", run)
    yield Runs
    Runs.gate.set()


@pytest.mark.slow
@pytest.mark.parametrize("deadline", [None, 1000.0])
def test_a_call_ends_at_the_servers_limit_whatever_its_own(models, deadline):
    with (
        serving(models["zoo"], rest_port=None, grpc_timeout_s=0.3) as (_, stub),
        pytest.raises(grpc.RpcError, match=r"Timed out|Deadline") as caught,
    ):
        stub.Predict(endless(), timeout=deadline)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.slow
def test_a_call_whose_deadline_passed_in_the_queue_is_not_run(models, runs, monkeypatch):
    with serving(models["half_plus_two"], threads=1, rest_port=None) as (server, stub):
        queued, submit = [], server._pool.submit
        monkeypatch.setattr(server._pool, "submit", lambda *args: queued.append(args) or submit(*args))
        first = stub.Predict.future(request(), timeout=PATIENCE_S)
        eventually(lambda: runs.count == 1)
        given_up = stub.Predict.future(request())
        eventually(lambda: server._pool._calls == 2)
        given_up.cancel()
        late = []
        # On a busy machine a deadline may pass before the call has come to the server.
        while len(queued) < 7 and len(late) < 300:
            late.append(stub.Predict.future(request(), timeout=0.2).code())
        assert len(queued) == 7 and set(late) == {grpc.StatusCode.DEADLINE_EXCEEDED}
        eventually(lambda: server._pool._calls == 1)
        runs.gate.set()
        assert first.result().outputs["y"].float_val == [1.0]
        assert stub.Predict(request(), timeout=PATIENCE_S).outputs["y"].float_val == [1.0]
        assert runs.count == 2


@pytest.mark.slow
def test_a_rest_request_in_the_queue_is_answered_at_its_time_limit_and_not_run(models, runs):
    with serving(models["half_plus_two"], threads=1, rest_timeout_s=0.2) as (server, stub):
        first = stub.Predict.future(request(), timeout=PATIENCE_S)
        eventually(lambda: runs.count == 1)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server.rest_address}/v1/models/m:predict", b'{"inputs": [1.0]}')
        with caught.value as answer:
            assert answer.status == 504 and "Timed out after 0.2 s" in json.load(answer)["error"]
        assert not first.done()
        eventually(lambda: server._pool._calls == 1)
        runs.gate.set()
        first.result()
        assert runs.count == 1
        assert server._budget.held == 0


def test_messages_beyond_the_shared_budget_are_refused(models, runs):
    small = {"max_message_bytes": 6000, "limits": Limits(pending_bytes=10_000), "rest_port": None}
    with serving(models["half_plus_two"], **small) as (server, stub):
        first = stub.Predict.future(request(1400), timeout=PATIENCE_S)
        eventually(lambda: runs.count == 1)
        code, text = refused(stub, request(1400))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and "this server holds at most 10000" in text
        runs.gate.set()
        first.result()
        eventually(lambda: server._budget.held == 0)
        assert stub.Predict(request(1400), timeout=PATIENCE_S)


def test_a_failed_call_gives_its_bytes_back(models):
    with serving(models["half_plus_two"], rest_port=None) as (server, stub):
        sent = request()
        sent.model_spec.name = "nobody"
        assert refused(stub, sent)[0] is grpc.StatusCode.NOT_FOUND
        assert refused(stub, predict_pb2.PredictRequest())[0] is grpc.StatusCode.INVALID_ARGUMENT
        eventually(lambda: server._budget.held == 0)
        eventually(lambda: not server._grpc._reception._calls)


@pytest.mark.slow
def test_failed_requests_leave_no_circles_that_hold_them(models):
    """What a full collection has to find stays for long in a process of many objects, bodies and all."""
    with serving(models["half_plus_two"]) as (server, stub):
        wrong = request()
        wrong.model_spec.signature_name = "nothing"

        def fail() -> None:
            assert refused(stub, wrong)[0] is grpc.StatusCode.FAILED_PRECONDITION
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{server.rest_address}/v1/models/m:predict", b'{"inputs": ["a"]}')
            caught.value.close()

        fail()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                fail()
            eventually(lambda: sum(isinstance(found, ServingError) for found in gc.get_objects()) <= 2)
        finally:
            gc.enable()


def refused(stub, sent) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(sent, timeout=PATIENCE_S)
    return caught.value.code(), caught.value.details()


@pytest.mark.slow
def test_a_callers_connection_grows_old_without_a_failed_call(models):
    old = Limits(connection_age_s=0.2, idle_s=0.2)
    with (
        EmbeddedServer(models={"m": models["half_plus_two"]}, limits=old, rest_port=None) as server,
        Client(server.grpc_address, "m", retries=0, deadline_s=PATIENCE_S) as client,
    ):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert client.predict({"x": np.float32([2.0])})["y"].tolist() == [3.0]
        for _ in range(3):
            time.sleep(0.4)  # closed as idle, and opened anew
            assert client.predict({"x": np.float32([2.0])})["y"].tolist() == [3.0]
