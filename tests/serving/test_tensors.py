"""TensorProto conversion: equal to TensorFlow's own, but with a look at the claimed size first."""

import tracemalloc

import grpc
import ml_dtypes
import numpy as np
import pytest
from google.protobuf import message
from hypothesis import given
from hypothesis import strategies as st

from graft.serving import tensors
from graft.serving.protos import tensor_pb2, types_pb2
from graft.serving.status import ServingError

ARRAYS = [
    np.float32([[1.5, -2.0], [np.inf, np.nan]]),
    np.float64(3.25),
    np.float16([1.5, 65504]),
    np.array([1.5, -3.0], ml_dtypes.bfloat16),
    np.array([1 + 2j, 3], np.complex64),
    np.array([[1 + 2j]], np.complex128),
    np.array([True, False]),
    np.zeros([0, 5], np.float32),
    np.array([b"\x00\xff", b""], dtype=object),
    *(
        np.array([np.iinfo(kind).min, np.iinfo(kind).max], kind)
        for kind in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    ),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_both_ways_as_tensorflow(array):
    import tensorflow as tf

    expected = tf.make_tensor_proto(array)
    for proto in (tensors.to_proto(array), tensors.to_proto(array, as_content=True), expected):
        assert proto.dtype == expected.dtype and proto.tensor_shape == expected.tensor_shape
        back = tensors.to_array(proto)
        np.testing.assert_array_equal(back, array)
        assert back.dtype == array.dtype and back.shape == array.shape
        np.testing.assert_array_equal(tf.make_ndarray(proto), array)


def test_text_is_sent_as_utf8():
    assert tensors.to_array(tensors.to_proto(np.array(["ä", "b"]))).tolist() == ["ä".encode(), b"b"]
    with pytest.raises(TypeError, match="datetime64"):
        tensors.to_proto(np.array(["2026-01-01"], dtype="datetime64[D]"))


def proto_of(shape, **fields) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(**({"dtype": types_pb2.DT_FLOAT} | fields))
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


def test_last_value_stands_for_the_rest():
    np.testing.assert_array_equal(tensors.to_array(proto_of([4], float_val=[1, 2])), [1, 2, 2, 2])


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (proto_of([10**6, 10**6], float_val=[1]), "takes more than"),
        (proto_of([3, 0], float_val=[1]), "has 1 values"),
        (proto_of([2**62, 2**62, 0]), "larger than an array can be"),
        (proto_of([1] * 33, float_val=[1]), "has 33 dimensions; this server takes at most 32"),
        (proto_of([-1], float_val=[1]), "not fully defined"),
        (proto_of([2], float_val=[1, 2, 3]), "has 3 values; shape [2] needs 2"),
        (proto_of([2]), "has 0 values"),
        (proto_of([2], tensor_content=b"12345"), "tensor_content has 5 bytes"),
        (proto_of([1], dtype=types_pb2.DT_STRING, tensor_content=b"1"), "must use string_val"),
        (proto_of([10**6], dtype=types_pb2.DT_STRING, string_val=[b"an image"]), "string tensor has 1 values"),
        (proto_of([1], dtype=types_pb2.DT_RESOURCE), "type resource cannot be read"),
        (proto_of([1], dtype=0), "type invalid cannot be read"),
        (proto_of([1], dtype=777), "type 777 cannot be read"),
    ],
)
def test_unsound_tensors_are_refused_without_allocating_them(proto, words):
    with pytest.raises(ServingError) as caught:
        tensors.to_array(proto)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT and words in caught.value.message


def test_what_a_request_claims_is_summed_before_any_of_it_is_made():
    few = proto_of([50_000_000], float_val=[1])
    assert few.ByteSize() < 30
    tracemalloc.start()
    try:
        for protos in ({"x": few}, {f"x{number}": proto_of([1_000_000], float_val=[1]) for number in range(5)}):
            with pytest.raises(ServingError, match=f"claim .* more than .* takes at most {tensors.MAX_FILL_BYTES}"):
                tensors.to_arrays(protos)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_what_a_request_holds_is_no_claim():
    content = proto_of([5_000_000], tensor_content=bytes(20_000_000))
    packed = proto_of([5_000_000], float_val=np.ones(5_000_000, np.float32))
    filled = proto_of([1_000_000], float_val=[2])
    pairs = proto_of([3], dtype=types_pb2.DT_COMPLEX64, scomplex_val=[1, 2])
    arrays = tensors.to_arrays({"content": content, "packed": packed, "filled": filled, "pairs": pairs})
    assert {name: array.size for name, array in arrays.items()} == {
        "content": 5_000_000,
        "packed": 5_000_000,
        "filled": 1_000_000,
        "pairs": 3,
    }
    assert set(arrays["filled"]) == {2} and set(arrays["pairs"]) == {1 + 2j}


@given(st.binary(max_size=60))
def test_any_bytes_give_an_array_or_a_clear_refusal(content):
    proto = tensor_pb2.TensorProto()
    try:
        proto.ParseFromString(content)
    except message.DecodeError:
        return
    try:
        assert isinstance(tensors.to_array(proto, max_bytes=1 << 20), np.ndarray)
    except ServingError as error:
        assert error.code is grpc.StatusCode.INVALID_ARGUMENT
