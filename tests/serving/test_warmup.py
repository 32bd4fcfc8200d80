"""Warm-up requests are replayed before a version serves; a bad one fails its load."""

import shutil
import struct

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving import tensors, warmup
from serving.data_plane import DataPlane
from serving.engine import Engine
from serving.server import EmbeddedServer, ServerError
from serving.status import ServingError


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
    assert warmup.warm_up(engine, DataPlane()) == 2
    assert seen == [[3.0], [4.0]]
    engine.close()


def test_no_file_or_an_empty_one_is_fine(models, recorded):
    for folder in (models["half_plus_two"], recorded()):
        engine = Engine(folder)
        assert warmup.warm_up(engine, DataPlane()) == 0
        engine.close()


def masked_crc32c(data: bytes) -> int:
    """The checksum of a TFRecord's parts."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("length", [2**60, 2**63, 100])
def test_a_record_that_claims_more_than_there_is_fails_the_load(recorded, length):
    """Its checksum is right; TensorFlow would end the process by SIGSEGV."""
    folder = recorded(predict_log(2.0))
    claim = struct.pack("<Q", length)
    with (folder / warmup.WARMUP_FILE).open("ab") as file:
        file.write(claim + struct.pack("<I", masked_crc32c(claim)) + b"x")
    engine = Engine(folder)
    with pytest.raises(ServingError, match=rf"the warmup record at byte \d+ is cut or claims {length} bytes"):
        warmup.warm_up(engine, DataPlane())
    engine.close()


def classify_log():
    log = prediction_log_pb2.PredictionLog()
    log.classify_log.request.model_spec.name = "m"
    return log.SerializeToString()


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
        warmup.warm_up(engine, DataPlane())
    assert caught.value.code is grpc.StatusCode[code] and words in caught.value.message
    engine.close()
    with pytest.raises(ServerError, match="did not become available"):
        EmbeddedServer(models={"m": folder}, rest_port=None).start()
