"""Observers are told of every served request and harm none; they are found by entry point."""

import json
import logging
import threading
import urllib.error
import urllib.request

import foreign_package
import grpc
import numpy as np
import pytest

from graft.models.entry_points import RegistrationError
from graft.models.errors import GraftError
from graft.serving import data_plane, log_rate, observers, tensors
from graft.serving.client import Client, ClientError
from graft.serving.engine import Engine
from graft.serving.observers import Observer, Page
from graft.serving.protos import prediction_log_pb2
from graft.serving.server import EmbeddedServer
from graft.serving.warmup import WARMUP_FILE


class Notes(Observer):
    """Keeps what it is told."""

    def __init__(self):
        self.served, self.closed = [], 0

    def observe(self, served):
        self.served.append(served)

    def pages(self):
        return {"/monitoring/notes": Page("text/plain; charset=utf-8", lambda: f"{len(self.served)}".encode())}

    def close(self):
        self.closed += 1


class Faulty(Observer):
    """Fails at everything."""

    def observe(self, served):
        raise RuntimeError("no disk")

    def close(self):
        raise RuntimeError("no disk")


@pytest.fixture(scope="module")
def watched(models):
    """A server whose observers are one that fails and one that takes notes, and the notes."""
    notes = Notes()
    folders = {name: models[name].parent for name in ("half_plus_two", "zoo")}
    with EmbeddedServer(models=folders, observers=[Faulty(), notes]) as server:
        yield server, notes
    assert notes.closed == 1


@pytest.fixture
def seen(watched):
    """What was told within the test."""
    watched[1].served.clear()
    return watched[1].served


def post(server, path, body) -> int:
    request = urllib.request.Request(f"{server.rest_address}{path}", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def names(served):
    return served.model, served.version, served.signature, served.code.name, served.transport


def test_both_transports_tell_the_same(watched, seen):
    server, _ = watched
    with Client(server.grpc_address, "half_plus_two") as client:
        client.predict({"x": np.float32([2])})
    assert post(server, "/v1/models/half_plus_two:predict", {"inputs": [2.0]}) == 200
    first, second = seen
    assert names(first) == ("half_plus_two", 1, "serving_default", "OK", "grpc")
    assert names(second) == ("half_plus_two", 1, "serving_default", "OK", "rest")
    for served in (first, second):
        assert (served.inputs["x"].tolist(), served.outputs["y"].tolist()) == ([2.0], [3.0])
        assert served.seconds > 0
    assert first.time <= second.time


@pytest.mark.parametrize(
    ("model", "signature", "inputs", "told"),
    [
        ("nobody", "serving_default", {"x": [1.0]}, (None, None, None, "NOT_FOUND")),
        ("half_plus_two/versions/9", "serving_default", {"x": [1.0]}, ("half_plus_two", None, None, "NOT_FOUND")),
        ("half_plus_two", "made up", {"x": [1.0]}, ("half_plus_two", 1, None, None)),
        ("half_plus_two", "serving_default", {"z": [1.0]}, ("half_plus_two", 1, "serving_default", "INVALID_ARGUMENT")),
    ],
    ids=["model", "version", "signature", "input"],
)
def test_a_failed_request_is_told_without_what_the_client_made_up(watched, seen, model, signature, inputs, told):
    server, _ = watched
    name, _, version = model.partition("/versions/")
    arrays = {alias: np.float32(values) for alias, values in inputs.items()}
    with (
        Client(server.grpc_address, name, version=int(version) if version else None) as client,
        pytest.raises(ClientError) as caught,
    ):
        client.predict(arrays, signature=signature)
    post(server, f"/v1/models/{model}:predict", {"inputs": inputs, "signature_name": signature})
    assert [served.transport for served in seen] == ["grpc", "rest"]
    by_grpc, by_rest = seen
    assert by_grpc.code is caught.value.code
    for served in seen:
        assert not served.outputs
        assert names(served)[:2] == told[:2]
        assert told[3] in (None, served.code.name)
    assert by_grpc.signature == told[2]
    if told[2]:
        assert by_grpc.inputs.keys() == inputs.keys()
        assert not by_rest.inputs, "REST could not read it"


def test_a_fault_of_the_server_is_told_too(watched, seen, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(Engine, "run", fail)
    server, _ = watched
    assert post(server, "/v1/models/half_plus_two:predict", {"inputs": [2.0]}) == 500
    assert names(seen[0]) == ("half_plus_two", 1, "serving_default", "INTERNAL", "rest")


def test_an_answer_that_is_too_large_for_json_is_told_as_refused(watched, seen, monkeypatch):
    monkeypatch.setattr("graft.serving.json_tensors.VALUE_BYTES", 1 << 40)
    server, _ = watched
    assert post(server, "/v1/models/half_plus_two:predict", {"inputs": [2.0]}) == 413
    assert seen[0].code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_observer_that_fails_is_logged_some_times_a_minute(watched, seen, caplog, monkeypatch):
    fresh = log_rate.RepeatFilter()
    monkeypatch.setattr(observers.logger, "filters", [fresh])
    server, _ = watched
    with caplog.at_level(logging.ERROR, "graft.serving.observers"), Client(server.grpc_address, "zoo") as client:
        for _ in range(15):
            client.status()
    assert not seen, "only Predict is observed"
    with caplog.at_level(logging.ERROR, "graft.serving.observers"):
        for _ in range(15):
            assert post(server, "/v1/models/half_plus_two:predict", {"inputs": [2.0]}) == 200
    lines = [record.getMessage() for record in caplog.records if record.name == "graft.serving.observers"]
    assert len(seen) == 15 and lines == ["the observer Faulty failed"] * log_rate.LINES
    assert observers.__name__ in log_rate.NOISY


def test_warm_up_is_not_served(models, tmp_path):
    import shutil

    import tensorflow as tf

    folder = shutil.copytree(models["half_plus_two"], tmp_path / "1")
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "m"
    log.predict_log.request.inputs["x"].CopyFrom(tensors.to_proto(np.float32([1])))
    (folder / WARMUP_FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as writer:
        writer.write(log.SerializeToString())
    notes = Notes()
    with (
        EmbeddedServer(models={"m": tmp_path}, rest_port=None, observers=[notes]) as server,
        Client(server.grpc_address, "m") as client,
    ):
        assert not notes.served
        client.predict({"x": np.float32([1])})
    assert len(notes.served) == 1


def test_without_observers_nothing_is_gathered(models, monkeypatch):
    """The cost is one look at an empty tuple: neither clock nor record."""

    def never(*_, **__):
        raise AssertionError("gathered for nobody")

    for name in ("_Course", "Served"):
        monkeypatch.setattr(data_plane, name, never)
    with (
        EmbeddedServer(models={"m": models["half_plus_two"].parent}, rest_port=None) as server,
        Client(server.grpc_address, "m") as client,
    ):
        assert client.predict({"x": np.float32([2])})["y"] == [3.0]


def test_an_observer_is_told_from_several_threads(watched, seen):
    server, _ = watched
    threads = [
        threading.Thread(target=post, args=(server, "/v1/models/half_plus_two:predict", {"inputs": [n]}))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(served.inputs["x"].tolist() for served in seen) == [[float(n)] for n in range(8)]


def test_a_page_is_shown_on_the_rest_port_only_as_it_is(watched, seen):
    server, _ = watched

    def get(path, method="GET"):
        request = urllib.request.Request(f"{server.rest_address}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.headers["content-type"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["error"], error.headers["content-type"]

    assert get("/monitoring/notes") == (200, "0", "text/plain; charset=utf-8")
    assert get("/monitoring/notes?x=1")[:2] == (400, "Unexpected path: /monitoring/notes?x=1")
    assert get("/monitoring/notes", "POST")[:2] == (405, "POST is not allowed here; GET is")
    assert get("/monitoring/other")[:2] == (404, "Not Found")


def test_observers_may_share_a_page():
    class Counter(Notes):
        def pages(self):
            return {"/monitoring/notes": Page("text/plain", lambda: b"one\n", shared=True)}

    (page,) = observers.pages([Counter(), Counter()]).values()
    assert page.make() == b"one\none\n"
    for pair in ([Counter(), Notes()], [Notes(), Counter()]):
        with pytest.raises(GraftError, match="is given twice"):
            observers.pages(pair)


SOURCE = """
    from graft.serving.observers import Observer

    class Quiet(Observer):
        def observe(self, served):
            pass

    class Broken(Quiet):
        def __init__(self):
            raise OSError("no disk")

    number = int
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """install(name=object of the module, ...): observers of a package beside those that are installed."""

    def put(distribution: str, **entries: str) -> None:
        module = distribution.replace("-", "_")
        values = {key: f"{module}:{value}" for key, value in entries.items()}
        folder = tmp_path / distribution
        foreign_package.install(folder, monkeypatch, distribution, {"test.observers": values}, SOURCE)

    monkeypatch.setattr(observers, "GROUP", "test.observers")
    return put


def test_observers_are_made_by_name_each_once(install):
    install("watch-dog", quiet="Quiet", other="Quiet")
    assert observers.names() == ["other", "quiet"]
    made = observers.load(["quiet", "quiet"])
    assert [type(observer).__name__ for observer in made] == ["Quiet"]
    assert observers.load([]) == []


def test_an_observer_that_is_not_installed_is_named_with_the_nearest(install):
    with pytest.raises(GraftError, match=r"no observer is called 'quit'; allowed: none is installed"):
        observers.load(["quit"])
    install("watch-dog", quiet="Quiet")
    with pytest.raises(GraftError, match=r"no observer is called 'quit'; did you mean 'quiet'\? allowed: quiet"):
        observers.load(["quit"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Absent", "cannot be imported: AttributeError"),
        ("Broken", "cannot be made: OSError: no disk"),
        ("number", "makes a int; allowed: an Observer"),
    ],
)
def test_an_observer_that_cannot_be_used_says_whose_it_is(install, value, message):
    install("watch-dog", faulty=value)
    with pytest.raises(RegistrationError, match="'faulty' of watch_dog:.* \\(watch-dog\\): " + message):
        observers.load(["faulty"])


def test_two_packages_with_one_name_are_refused(install):
    install("watch-dog", quiet="Quiet")
    install("watch-cat", quiet="Quiet")
    with pytest.raises(RegistrationError, match="quiet: the observer is registered twice: watch_cat:Quiet"):
        observers.load(["quiet"])


@pytest.mark.parametrize(
    ("given", "message"),
    [(["/monitoring/a", "/monitoring/a"], "'/monitoring/a' of its page is given twice"), (["/v1/a"], "does not begin")],
)
def test_pages_do_not_get_in_each_others_way(given, message):
    made = []
    for path in given:
        observer = Notes()
        observer.pages = lambda path=path: {path: Page("text/plain", bytes)}
        made.append(observer)
    with pytest.raises(GraftError, match=message):
        observers.pages(made)
