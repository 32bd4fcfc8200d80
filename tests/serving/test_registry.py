"""The registry's policy, with engines that only remember whether they were closed."""

import threading
import time

import grpc
import pytest

from graft.serving.registry import ModelRegistry, State, Wanted
from graft.serving.status import ServingError


class FakeEngine:
    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


class Loading:
    """A loader whose versions can be made to fail or to take until they are let through."""

    def __init__(self):
        self.failing: set[int] = set()
        self.gates: dict[int, threading.Event] = {}
        self.engines: dict[int, FakeEngine] = {}
        self.calls: list[int] = []

    def __call__(self, model, number, path):
        self.calls.append(number)
        if number in self.gates:
            assert self.gates[number].wait(10)
        if number in self.failing:
            raise ServingError(grpc.StatusCode.DATA_LOSS, f"broken {number}")
        self.engines[number] = FakeEngine()
        return self.engines[number]


@pytest.fixture
def loading():
    return Loading()


@pytest.fixture
def registry(loading):
    made = ModelRegistry(loading, retry_s=0.05, attempts=3)
    yield made
    made.close()


def wanted(*numbers, fallbacks=()):
    return Wanted({n: f"p/{n}" for n in numbers}, {n: f"p/{n}" for n in fallbacks})


def states(registry):
    return {version.number: version.state for version in registry.status("m")}


def eventually(condition, timeout_s=5.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.005)


def test_new_version_is_loaded_beside_the_old_and_the_old_is_drained(registry, loading):
    registry.want("m", wanted(1))
    assert registry.wait_settled("m")
    loading.gates[2] = threading.Event()
    registry.want("m", wanted(2))
    eventually(lambda: states(registry) == {1: State.AVAILABLE, 2: State.LOADING})
    with registry.use("m") as held:
        assert held.number == 1
        loading.gates[2].set()
        eventually(lambda: states(registry) == {1: State.UNLOADING, 2: State.AVAILABLE})
        assert not loading.engines[1].closed, "a call still runs on it"
        with registry.use("m") as newer:
            assert newer.number == 2
        with (
            pytest.raises(ServingError, match=r"Servable not found for request: Specific\(m, 1\)"),
            registry.use("m", 1),
        ):
            pass
    eventually(lambda: states(registry) == {1: State.END, 2: State.AVAILABLE})
    assert loading.engines[1].closed


def test_a_version_that_fails_leaves_the_old_one_and_is_tried_again(registry, loading):
    registry.want("m", wanted(1))
    registry.wait_settled("m")
    loading.failing.add(2)
    registry.want("m", wanted(2))
    eventually(lambda: states(registry) == {1: State.AVAILABLE, 2: State.END})
    failed = registry.status("m", 2)[0]
    assert failed.error.code is grpc.StatusCode.DATA_LOSS and failed.error.message == "broken 2"
    registry.want("m", wanted(2))
    assert loading.calls.count(2) == 1, "not before its pause"
    loading.failing.clear()
    time.sleep(0.06)
    registry.want("m", wanted(2))
    eventually(lambda: states(registry) == {1: State.END, 2: State.AVAILABLE})


def test_attempts_end(registry, loading):
    loading.failing.add(1)
    for _ in range(6):
        registry.want("m", wanted(1))
        registry.wait_settled("m")
        time.sleep(0.06)
    assert loading.calls == [1, 1, 1]


def test_unexpected_errors_of_a_load_show_in_the_status(loading, caplog):
    def explode(model, number, path):
        raise ZeroDivisionError("odd")

    registry = ModelRegistry(explode)
    registry.want("m", wanted(1))
    assert not registry.wait_settled("m")
    assert registry.status("m")[0].error.code is grpc.StatusCode.UNKNOWN
    assert "ZeroDivisionError" in caplog.text
    registry.close()


def test_falls_back_to_the_newest_loadable_then_returns(registry, loading, caplog):
    loading.failing |= {5, 4}
    registry.want("m", wanted(5, fallbacks=(1, 3, 4)))
    eventually(lambda: registry.available("m"))
    assert states(registry) == {5: State.END, 4: State.END, 3: State.AVAILABLE}
    assert "falling back to version 3" in caplog.text
    loading.failing.clear()
    time.sleep(0.06)
    registry.want("m", wanted(5, fallbacks=(1, 3, 4)))
    eventually(lambda: states(registry)[5] is State.AVAILABLE and states(registry)[3] is State.END)


def test_a_rollback_during_a_load_throws_the_load_away(registry, loading):
    registry.want("m", wanted(1))
    registry.wait_settled("m")
    loading.gates[2] = threading.Event()
    registry.want("m", wanted(2))
    eventually(lambda: states(registry)[2] is State.LOADING)
    registry.want("m", wanted(1))
    loading.gates[2].set()
    eventually(lambda: states(registry)[2] is State.END)
    assert loading.engines[2].closed
    assert registry.status("m", 2)[0].error.code is grpc.StatusCode.CANCELLED
    with registry.use("m") as held:
        assert held.number == 1
    loading.gates.clear()
    registry.want("m", wanted(2))
    eventually(lambda: states(registry) == {1: State.END, 2: State.AVAILABLE})


def test_rollback_to_a_smaller_number(registry, loading):
    registry.want("m", wanted(2))
    registry.wait_settled("m")
    registry.want("m", wanted(1))
    eventually(lambda: states(registry) == {1: State.AVAILABLE, 2: State.END})


def test_wanting_nothing_unloads(registry, loading):
    registry.want("m", wanted(1))
    registry.wait_settled("m")
    registry.want("m", wanted())
    eventually(lambda: states(registry) == {1: State.END})
    with (
        pytest.raises(ServingError, match=r"NOT_FOUND: Servable not found for request: Latest\(m\)"),
        registry.use("m"),
    ):
        pass
    registry.want("m", wanted(1))
    assert registry.wait_settled("m"), "an unloaded version can be loaded again"


def test_one_slow_model_does_not_hold_up_another(registry, loading):
    loading.gates[9] = threading.Event()
    registry.want("slow", wanted(9))
    registry.want("m", wanted(1))
    assert registry.wait_settled("m", 5)
    loading.gates[9].set()


def test_unknown_names_and_labels(registry):
    with pytest.raises(ServingError, match="Could not find any versions of model nn"):
        registry.status("nn")
    words = "INVALID_ARGUMENT: Unrecognized servable version label: canary"
    with pytest.raises(ServingError, match=words), registry.use("m", label="canary"):
        pass
    registry.want("m", wanted(1))
    with pytest.raises(ServingError, match="Could not find version 8 of model m"):
        registry.status("m", 8)
