"""A record is TensorFlow Serving's PredictionLog and comes back as it was; what shall not be written is not."""

import hmac
import json

import grpc
import numpy as np
import pytest
from log_samples import served, texts

from graft.models.errors import GraftError
from graft.monitoring.request_log.fields import Fields
from graft.monitoring.request_log.options import KEY_VARIABLE, Options
from graft.monitoring.request_log.record import ForeignRecord, Record, TooLarge, encode
from graft.serving.protos import prediction_log_pb2

KEY = "sixteen characters or more"


def fields(monkeypatch, **options) -> Fields:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return Fields(Options(**options))


def written(request, found: Fields, most: int = 2**20) -> bytes:
    kept, left_out = found.kept(request)
    return encode(kept, left_out, found, 0.5, most)[0]


def test_a_request_comes_back_as_it_was(monkeypatch):
    record = Record(written(served("id-1"), fields(monkeypatch)))
    assert (record.model, record.version, record.signature) == ("m", 3, "serving_default")
    assert (record.request_id, record.status, record.transport, record.answered) == ("id-1", "OK", "grpc", True)
    assert (record.time, record.seconds, record.sample) == (1_700_000_000.5, 0.0125, 0.5)
    assert record.inputs["text"].tolist() == [b"one", b"two"]
    assert record.outputs["scores"].tolist() == [[0.25, 0.75], [1, 0]]
    assert record.outputs["label"].tolist() == [b"rose", b"tulip"]
    assert not (record.left_out or record.hashed or record.shortened)


def test_others_read_it_by_the_message_alone(monkeypatch):
    log = prediction_log_pb2.PredictionLog.FromString(written(served(), fields(monkeypatch)))
    assert log.log_metadata.model_spec.version.value == 3
    assert log.log_metadata.timestamp_secs == 1_700_000_000
    assert json.loads(log.log_metadata.request_origin)["status"] == "OK"
    assert log.predict_log.request.inputs["text"].string_val == [b"one", b"two"]
    assert not log.predict_log.request.model_spec.HasField("version"), "it can be replayed on another version"
    assert log.predict_log.response.model_spec.version.value == 3


def test_a_failed_request_of_a_made_up_model(monkeypatch):
    failed = served(model=None, version=None, signature=None, inputs={}, outputs={}, code=grpc.StatusCode.NOT_FOUND)
    record = Record(written(failed, fields(monkeypatch)))
    assert (record.model, record.version, record.signature, record.answered) == (None, None, None, False)
    assert record.status == "NOT_FOUND" and record.inputs == record.outputs == {}


def test_what_is_left_out_or_hashed_is_in_no_byte(monkeypatch):
    inputs = {
        "text": texts(b"secret-text", "geheim-ü".encode()),
        "user": texts(b"user-17", b"user-18"),
        "age": [41, 42],
    }
    request = served(inputs={name: np.asarray(array) for name, array in inputs.items()})
    found = fields(monkeypatch, leave_out=["text", "label"], hash=["user", "age"])
    content = written(request, found)
    assert not any(secret in content for secret in (b"secret-text", b"geheim", b"user-17", b"user-18", b"rose"))
    assert np.int64([41]).tobytes() not in content
    record = Record(content)
    assert set(record.inputs) == {"user", "age"} and set(record.outputs) == {"scores"}
    assert (record.left_out, record.hashed) == (("label", "text"), ("age", "user"))
    assert record.inputs["user"].tolist() == [
        hmac.digest(KEY.encode(), value, "sha256").hex().encode() for value in (b"user-17", b"user-18")
    ]
    assert record.inputs["age"].shape == (2,), "one digest a row of numbers"
    other = fields(monkeypatch, hash=["user"])
    monkeypatch.setattr(other, "_key", b"another key of sixteen")
    assert Record(written(request, other)).inputs["user"].tolist() != record.inputs["user"].tolist()


@pytest.mark.parametrize("array", [np.float32(3), np.zeros((2, 0)), np.zeros((0, 3)), np.zeros((2, 3, 4)), texts()])
def test_arrays_of_any_shape_are_hashed(monkeypatch, array):
    record = Record(written(served(inputs={"x": np.asarray(array)}), fields(monkeypatch, hash=["x"])))
    assert record.inputs["x"].shape == np.shape(array)[:1]
    assert all(len(digest) == 64 for digest in record.inputs["x"].ravel())


def test_inputs_are_dropped_if_told_so(monkeypatch):
    record = Record(written(served(), fields(monkeypatch, inputs="drop")))
    assert record.inputs == {} and record.left_out == ("text",) and record.outputs


def test_a_long_record_loses_its_inputs_and_a_longer_one_is_refused(monkeypatch):
    found = fields(monkeypatch)
    record = Record(written(served(inputs={"text": texts(b"x" * 5000)}), found, most=4096))
    assert record.shortened and record.inputs == {} and record.outputs["label"].tolist() == [b"rose", b"tulip"]
    with pytest.raises(TooLarge, match="allowed: 4096"):
        written(served(outputs={"y": np.zeros(5000)}), found, most=4096)


def test_hashing_wants_a_key_and_a_rule_for_each_name(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(GraftError, match=f"{KEY_VARIABLE} has 5 bytes; it must hold a secret of at least 16"):
        Fields(Options(hash=["user"]))
    with pytest.raises(GraftError, match="user is under leave_out and under hash"):
        Fields(Options(hash=["user"], leave_out=["user"]))


def _log(origin: str) -> bytes:
    log = prediction_log_pb2.PredictionLog()
    log.log_metadata.request_origin = origin
    return log.SerializeToString()


FACTS = {"request_id": "a", "time": 1, "seconds": 1, "status": "OK", "transport": "grpc"}


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 20,
        b"",
        _log("frontend"),
        _log("[" * 100_000),
        _log("[]"),
        _log("{}"),
        _log(json.dumps(FACTS | {"time": "noon"})),
        _log(json.dumps(FACTS | {"request_id": "../../etc"})),
        _log(json.dumps(FACTS | {"request_id": 7})),
    ],
)
def test_foreign_records_are_told_apart(content):
    with pytest.raises(ForeignRecord):
        Record(content)


def test_a_tensor_that_lies_is_told_when_it_is_read():
    log = prediction_log_pb2.PredictionLog.FromString(_log(json.dumps(FACTS)))
    tensor = log.predict_log.request.inputs["x"]
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=2**40)
    record = Record(log.SerializeToString())
    with pytest.raises(ForeignRecord, match="a tensor cannot be read"):
        assert record.inputs
