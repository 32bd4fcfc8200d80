"""Refuses Predict messages that would take many times their size when they are read.

A TensorProto may hold millions of empty messages of two bytes each, as dimensions, resources or variants. Each takes a
hundred bytes and more once it is read: 64 MB become 5 GB. So the fields of a large message are walked first, as they
stand in its bytes (Protocol Buffers, "Encoding"), and a message of more fields than any sound one has is refused.
"""

from google.protobuf import message

from graft.serving.status import invalid

SMALL = 1 << 16
"""Messages up to this size are not looked at: whatever they hold takes some megabytes at most."""
MAX_FIELDS = 1 << 16
"""The most fields that a large message may have: a string is one, packed numbers are one together."""

# tensorflow_serving/apis/predict.proto: a map is a repeated message of key 1 and value 2. tensor.proto: shape,
# resources, variants.
_INPUTS, _VALUE, _SHAPE, _RESOURCES, _VARIANTS = 2, 2, 2, 14, 15
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_INTO = ({_INPUTS}, {_VALUE}, {_SHAPE}, set[int]())
"""From the request down: the fields that hold what is looked at next."""
_TENSOR_DEPTH = 2


def check_predict(content: bytes) -> None:
    """Looks at the bytes of a PredictRequest.

    Raises:
        ServingError: INVALID_ARGUMENT for more fields than a sound request has, or for values that are no values.
        google.protobuf.message.DecodeError: it is no message.
    """
    if len(content) > SMALL:
        try:
            _walk(content, 0, len(content), 0, MAX_FIELDS)
        except IndexError as error:
            raise message.DecodeError("it ends within a field") from error


def _walk(content: bytes, position: int, end: int, depth: int, fields_left: int) -> int:
    while position < end:
        fields_left -= 1
        if fields_left < 0:
            raise invalid(f"the message has more than {MAX_FIELDS} fields, which is the most that this server takes")
        tag, position = _varint(content, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, position = _varint(content, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        elif kind == _BYTES:
            size, position = _varint(content, position)
            if position + size > end:
                raise message.DecodeError("it ends within a field")
            if depth == _TENSOR_DEPTH and number in (_RESOURCES, _VARIANTS):
                raise invalid("an input holds resources or variants, which cannot be read")
            if number in _INTO[depth]:
                fields_left = _walk(content, position, position + size, depth + 1, fields_left)
            position += size
        else:
            raise message.DecodeError(f"wire type {kind}")
    if position > end:
        raise message.DecodeError("it ends within a field")
    return fields_left


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := content[position]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
        if shift > 63:
            raise message.DecodeError("a number has too many bytes")
    return value | byte << shift, position + 1
