"""Warm-up requests are replayed before a version serves; a bad one fails its load."""

import shutil

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2
from tfrecords import header

from graft.serving import tensors, warmup
from graft.serving.data_plane import DataPlane
from graft.serving.engine import Engine
from graft.serving.registry import ModelRegistry
from graft.serving.server import EmbeddedServer, ServerError
from graft.serving.status import ServingError


def predict_log(value=1.0, signature="serving_default", alias="x"):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "m", signature
    request.inputs[alias].CopyFrom(tensors.to_proto(np.float32([value])))
    return log.SerializeToString()


@pytest.fixture
def recorded(models, tmp_path):
    """Writes records as the warm-up file of a copy of half_plus_two; returns the copy's folder."""

    def write(*records):
        folder = shutil.copytree(models["half_plus_two"], tmp_path / "model")
        path = folder / warmup.WARMUP_FILE
        path.parent.mkdir()
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        return folder

    return write


def test_requests_are_run(recorded, monkeypatch):
    engine = Engine(recorded(predict_log(2.0), predict_log(4.0, signature="")))
    seen = []
    original = engine.run
    monkeypatch.setattr(engine, "run", lambda *arguments: seen.append(original(*arguments)["y"].tolist()))
    assert warmup.warm_up(engine, DataPlane(ModelRegistry(Engine))) == 2
    assert seen == [[3.0], [4.0]]
    engine.close()


def test_no_file_or_an_empty_one_is_fine(models, recorded):
    for folder in (models["half_plus_two"], recorded()):
        engine = Engine(folder)
        assert warmup.warm_up(engine, DataPlane(ModelRegistry(Engine))) == 0
        engine.close()


def test_a_record_that_claims_the_address_space_is_an_error_not_the_end_of_the_server(recorded):
    folder = recorded(predict_log())
    path = folder / warmup.WARMUP_FILE
    path.write_bytes(path.read_bytes() + header(1 << 60))
    engine = Engine(folder)
    with pytest.raises(ServingError, match="tf_serving_warmup_requests: record 1 cannot be read: truncated record"):
        warmup.warm_up(engine, DataPlane(ModelRegistry(Engine)))
    engine.close()


def classify_log():
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "m"
    return log.SerializeToString()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("records", "code", "words"),
    [
        ([b"\xff\xff"], "INVALID_ARGUMENT", "Failed to parse warmup record"),
        ([classify_log()], "UNIMPLEMENTED", "Unsupported log_type for warmup: classify_log"),
        ([predict_log(), predict_log(alias="z")], "INVALID_ARGUMENT", "Signature input alias: x"),
        ([predict_log(signature="none")], "INVALID_ARGUMENT", "warmup record names the signature 'none'"),
        ([predict_log()] * 1001, "INVALID_ARGUMENT", "exceeds the maximum (1000)"),
    ],
    ids=["unparsable", "classify", "failing", "signature", "too many"],
)
def test_a_bad_record_fails_the_load(recorded, records, code, words):
    folder = recorded(*records)
    engine = Engine(folder)
    with pytest.raises(ServingError) as caught:
        warmup.warm_up(engine, DataPlane(ModelRegistry(Engine)))
    assert caught.value.code is grpc.StatusCode[code] and words in caught.value.message
    engine.close()
    with pytest.raises(ServerError, match="did not become available"):
        EmbeddedServer(models={"m": folder}, rest_port=None).start()
