"""Messages that would take many times their size are refused; sound ones of any size are not."""

import numpy as np
import pytest
from google.protobuf import message

from graft.serving import tensors
from graft.serving.protos import predict_pb2
from graft.serving.screening import MAX_FIELDS, SMALL, check_predict
from graft.serving.status import ServingError


def field(number: int, content: bytes) -> bytes:
    """A field of bytes (Protocol Buffers encoding, wire type 2)."""

    def varint(value: int) -> bytes:
        return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])

    return varint(number << 3 | 2) + varint(len(content)) + content


def with_tensor(content: bytes) -> bytes:
    return field(2, field(1, b"x") + field(2, content))


MANY = MAX_FIELDS
FIELDS = "the message has more than 65536 fields"
VALUES = "resources or variants"
HOSTILE = {
    "dimensions": (with_tensor(field(2, b"\x12\0" * MANY)), FIELDS),
    "shapes": (with_tensor(field(2, b"\x12\0") * MANY), FIELDS),
    "variants": (with_tensor(field(15, field(3, b"") * 8) * MANY), VALUES),
    "resources": (with_tensor(field(14, b"") * MANY), VALUES),
    "inputs": (field(2, b"") * MANY, None),
    "more inputs": (field(2, b"") * (MANY + 1), FIELDS),
    "wanted outputs": (field(3, b"") * (MANY + 1), FIELDS),
    "strings": (with_tensor(field(8, b"") * MANY), FIELDS),
    "unpacked numbers": (with_tensor(b"\x38\1" * MANY), FIELDS),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_message_that_grows_is_refused(kind):
    content, words = HOSTILE[kind]
    predict_pb2.PredictRequest.FromString(content)  # it is sound as a message
    if words is None:
        check_predict(content)
        return
    with pytest.raises(ServingError, match=words):
        check_predict(content)


def test_sound_messages_pass():
    request = predict_pb2.PredictRequest(output_filter=["y"])
    request.model_spec.name = "m"
    for as_content in (True, False):
        request.inputs["x"].CopyFrom(tensors.to_proto(np.zeros([3, 100_000], np.float32), as_content))
        check_predict(request.SerializeToString())
    request.inputs["s"].CopyFrom(tensors.to_proto(np.array([b"a" * 1000] * 1000, dtype=object)))
    check_predict(request.SerializeToString())


@pytest.mark.parametrize("start", [b"\xff" * 20, b"\x12\xff\xff\xff\x7f", b"\x13", b"\x0f", b"\x0d"])
def test_what_is_no_message(start):
    with pytest.raises(message.DecodeError):
        check_predict(field(6, bytes(SMALL)) + start)
    check_predict(b"\xff" * SMALL)  # small enough for the reading proper to say so
