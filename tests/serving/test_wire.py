"""The wire format of Protocol Buffers."""

import numpy as np
import pytest
from google.protobuf import unknown_fields, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.serving import wire

WORDS = st.integers(0, 2**64 - 1)


def read(message: bytes) -> list[tuple[int, int, int, bytes]]:
    return [(field, kind, value, bytes(content)) for field, kind, value, content in wire.fields(memoryview(message))]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**29 - 1), WORDS, st.binary(max_size=300))
def test_fields_are_those_that_protobuf_reads(field, value, content):
    message = wire.varint(field << 3 | wire.VARINT) + wire.varint(value) + wire.block(field, content)
    assert read(message) == [(field, wire.VARINT, value, b""), (field, wire.LEN, 0, content)]
    official = wrappers_pb2.BytesValue.FromString(wire.block(1, content) + wire.number(15, value))
    assert official.value == content
    assert [one.data for one in unknown_fields.UnknownFieldSet(official)] == ([value] if value else [])


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1))
def test_negative_numbers_are_the_64_bits_that_protobuf_writes(value):
    assert wire.number(1, value) == wrappers_pb2.Int64Value(value=value).SerializeToString()
    assert [wire.signed(found) for _, _, found, _ in read(wire.number(1, value))] == ([value] if value else [])


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=20))
def test_packed_numbers(values):
    packed = b"".join(map(wire.varint, values))
    found = wire.varints(memoryview(packed))
    assert found.dtype == np.uint64 and found.tolist() == values
    if values:
        with pytest.raises(wire.WireError, match="does not end"):
            wire.varints(memoryview(packed + b"\x80"))


@pytest.mark.parametrize(
    "message, says",
    [
        (b"\x0a\x05abc", "byte 2: 5 bytes should follow, 3 do"),
        (b"\x0d\x01\x02", "byte 1: 4 bytes should follow, 2 do"),
        (b"\x08", "byte 1: a number that does not end"),
        (b"\x08" + b"\xff" * 11, "byte 1: a number that does not end"),
        (b"\x0b\x0c", "byte 1: a field has the wire type 3"),
        (b"\x02\x00", "byte 1: a field has the number 0"),
    ],
)
def test_what_is_no_message_is_told_in_one_line(message, says):
    with pytest.raises(wire.WireError) as caught:
        read(message)
    assert str(caught.value) == says


def test_fixed_numbers_and_texts():
    assert wire.fixed(memoryview(np.float32([1, 2]).tobytes()), np.float32).tolist() == [1, 2]
    with pytest.raises(wire.WireError, match="5 bytes are no numbers of 4 bytes each"):
        wire.fixed(memoryview(b"12345"), np.float32)
    assert wire.text(memoryview("zwölf".encode())) == "zwölf"
    with pytest.raises(wire.WireError, match="a text that is not UTF-8: invalid start byte"):
        wire.text(memoryview(b"\xff"))
