"""The one way to a model: what a request may hold whoever brings it, and that nothing goes another way."""

import ast
import pathlib
import sys

import grpc
import numpy as np
import pytest

from graft.models.inputs.base import Refused
from graft.models.inputs.image.guard import PixelGuard
from graft.serving import tensors
from graft.serving.client import Client, ClientError
from graft.serving.data_plane import Asked, DataPlane, Run
from graft.serving.engine import Engine
from graft.serving.registry import ModelRegistry
from graft.serving.server import EmbeddedServer
from graft.serving.status import ServingError

ROOT = pathlib.Path(__file__).parents[2]


class Echo:
    """An engine that answers what it was asked."""

    def __init__(self, *guards):
        self.guards = guards

    def run(self, *arguments):
        return arguments


def plane(max_batch=1024, announced=None) -> DataPlane:
    return DataPlane(ModelRegistry(lambda *_: None), max_batch, announced)


def test_a_sound_request_reaches_the_engine_as_it_is():
    inputs = {"image_bytes": np.array([b"1", b"2"], dtype=object), "size": np.zeros(50)}
    assert plane(max_batch=2).replay(Echo(), Run("s", inputs, ["y"], 3.0)) == ("s", inputs, ["y"], 3.0)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (1, 3)])
def test_too_many_strings_are_refused(shape):
    inputs = {"size": np.zeros(50), "image_bytes": np.full(shape, b"1", dtype=object)}
    with pytest.raises(ServingError, match="input image_bytes has 3 strings; this server takes at most 2"):
        plane(max_batch=2).replay(Echo(), Run("s", inputs))


def test_what_a_guard_counts_is_summed_over_the_request(png):
    images = np.array([png((0, 0, 0), (10, 10))] * 3, dtype=object)
    limited, guarded = plane(announced={"pixels": 500}), Echo(PixelGuard())
    assert limited.replay(guarded, Run("s", {"a": images, "b": images[:2]}))
    more = Run("s", {"a": images, "b": images})
    with pytest.raises(ServingError, match="images of the request announce 600 pixels; this server takes at most 500"):
        limited.replay(guarded, more)
    assert limited.replay(Echo(), more), "a model of texts has no pixels"
    assert plane().replay(guarded, more), "the guard's own limit is larger"


def test_what_a_guard_refuses_is_the_callers_fault():
    class Refusing(PixelGuard):
        def cost(self, values):
            raise Refused("costly", "it is built to be costly")

    with pytest.raises(ServingError, match="it is built to be costly") as caught:
        plane().replay(Echo(Refusing()), Run("s", {"a": np.array([b"x"], dtype=object)}))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.slow
def test_a_limit_on_what_is_announced_holds_on_both_transports(models, png):
    from graft.serving.limits import Limits

    with (
        EmbeddedServer(models={"images": models["images"].parent}, limits=Limits(announced={"pixels": 100})) as server,
        Client(server.grpc_address, "images") as client,
    ):
        small, large = ({"image_bytes": np.array([png((9, 9, 9), size)], dtype=object)} for size in ((9, 9), (11, 11)))
        assert client.predict(small)
        with pytest.raises(ClientError, match="announce 121 pixels; this server takes at most 100"):
            client.predict(large)


class Plain:
    """A codec of nothing: the request is there already."""

    transport = "grpc"

    def __init__(self, run):
        self._run = run

    def read(self, engine):
        return self._run

    def write(self, version, request, outputs):
        return version.number, outputs


def test_the_version_is_held_while_it_is_read_and_run_and_not_while_the_answer_is_written(models):
    calls = []
    with EmbeddedServer(models={"m": models["half_plus_two"]}, rest_port=None) as server:
        codec = Plain(Run("serving_default", {"x": np.float32([4])}))
        codec.write = lambda version, request, outputs: calls.append((version.calls, outputs["y"].tolist()))
        server.handlers.data_plane.predict(Asked("m"), codec)
    assert calls == [(0, [4.0])]


def test_every_request_comes_to_the_engine_from_the_data_plane(models, monkeypatch, tmp_path):
    """By both transports and from a warm-up file."""
    import json
    import shutil
    import urllib.request

    import tensorflow as tf

    from graft.serving import protos, warmup

    folder = shutil.copytree(models["half_plus_two"], tmp_path / "1")
    log = protos.prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "m"
    log.predict_log.request.inputs["x"].CopyFrom(tensors.to_proto(np.float32([1])))
    (folder / warmup.WARMUP_FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(folder / warmup.WARMUP_FILE)) as writer:
        writer.write(log.SerializeToString())
    callers, original = [], Engine.run

    def run(*arguments, **named):
        callers.append(sys._getframe(1).f_globals["__name__"])
        return original(*arguments, **named)

    monkeypatch.setattr(Engine, "run", run)
    with EmbeddedServer(models={"m": tmp_path}) as server, Client(server.grpc_address, "m") as client:
        client.predict({"x": np.float32([1])})
        body = json.dumps({"inputs": [1.0]}).encode()
        with urllib.request.urlopen(f"{server.rest_address}/v1/models/m:predict", body, timeout=30) as answer:
            assert json.load(answer) == {"outputs": [2.5]}
    assert callers == ["graft.serving.data_plane"] * 3


def engine_runs(source: str) -> bool:
    """Whether code calls the method `run` of something that is called an engine."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "run"
        and "engine" in ast.unparse(node.func.value).lower()
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.slow
def test_nothing_else_runs_an_engine():
    folders = ("components", "kubeflow", "models", "monitoring", "pipeline", "serving")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    found = [path.relative_to(ROOT).as_posix() for path in files if engine_runs(path.read_text(encoding="utf-8"))]
    assert found == ["serving/data_plane.py"]
    assert engine_runs("held.engine.run('s', {})") and engine_runs("Engine(path).run('s', {})")
