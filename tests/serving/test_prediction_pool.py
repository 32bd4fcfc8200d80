"""The bound on predictions that run or wait."""

import threading

import grpc
import pytest

from graft.serving.prediction_pool import PredictionPool


def test_it_is_full_while_as_many_calls_as_allowed_run_or_wait():
    gate = threading.Event()
    with PredictionPool(threads=1, max_calls=2) as pool:
        calls = [pool.submit(gate.wait), pool.submit(gate.wait)]
        assert pool.full
        assert pool.refusal().code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert pool.refusal().message.startswith("2 predictions are running or waiting")
        gate.set()
        assert all(call.result() for call in calls)
    assert not pool.full


def test_a_call_that_fails_makes_room_too():
    with PredictionPool(threads=1, max_calls=1) as pool:
        call = pool.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            call.result()
    assert not pool.full


def test_threads_wait_by_default_for_some_calls():
    pool = PredictionPool(threads=2)
    assert pool.max_calls > 2 and not pool.full
    pool.shutdown()
