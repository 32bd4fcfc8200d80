"""What the client writes and reads is what TensorFlow Serving's own classes read and write."""

import ml_dtypes
import numpy as np
import pytest
from google.protobuf import any_pb2, wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from graft.serving import dtypes, tensors, wire
from graft.serving import wire_messages as messages
from graft.serving.protos import get_model_metadata_pb2, get_model_status_pb2, predict_pb2, tensor_pb2

KINDS = [kind for kind, _ in dtypes.KINDS.values() if kind not in (np.object_, ml_dtypes.bfloat16)]
NUMBERS = st.sampled_from(KINDS).flatmap(
    lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
STRINGS = arrays_of.arrays(
    np.object_, arrays_of.array_shapes(max_dims=2, min_side=0, max_side=3), elements=st.binary(max_size=200)
)
quick = settings(max_examples=150, deadline=None)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """By bytes, so that a NaN equals itself."""
    if one.dtype == object:
        return one.shape == other.shape and one.tolist() == other.tolist()
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@quick
@given(st.one_of(NUMBERS, STRINGS))
def test_a_tensor_goes_as_the_official_one(array):
    sent = messages.tensor(array)
    assert sent == tensors.to_proto(array, as_content=True).SerializeToString(deterministic=True)
    assert same(tensors.to_array(messages.read_tensor(sent)), array)


@quick
@given(st.one_of(NUMBERS, STRINGS), st.booleans(), st.binary(max_size=8))
def test_a_tensor_is_read_in_each_form_that_there_is(array, as_content, unknown):
    official = tensors.to_proto(array, as_content=as_content)
    message = official.SerializeToString()
    found = messages.read_tensor(wire.block(900, unknown) + message + wire.number(901, 5))  # of a later version
    assert same(tensors.to_array(found), tensors.to_array(official))


@pytest.mark.parametrize("field, values", [(7, [1, -2, 300]), (10, [-(2**63), 5]), (17, [2**64 - 1]), (11, [1, 0])])
def test_numbers_that_are_not_packed(field, values):
    """Writers of proto2 put each number into a field of its own; a message may mix both forms."""
    name = {7: "int_val", 10: "int64_val", 17: "uint64_val", 11: "bool_val"}[field]
    alone = b"".join(wire.varint(field << 3) + wire.varint(value) for value in values)
    message = alone + wire.block(field, b"".join(map(wire.varint, values)))
    official = list(getattr(tensor_pb2.TensorProto.FromString(message), name))
    assert getattr(messages.read_tensor(message), name).tolist() == official == values * 2


def test_floats_that_are_not_packed():
    message = b"".join(wire.varint(5 << 3 | wire.I32) + np.float32(value).tobytes() for value in (1.5, -2))
    assert list(tensor_pb2.TensorProto.FromString(message).float_val) == [1.5, -2]
    assert messages.read_tensor(message).float_val.tolist() == [1.5, -2]


@quick
@given(st.text(max_size=9), st.none() | st.integers(0, 2**63 - 1), st.text(max_size=9), st.lists(st.text(max_size=5)))
def test_requests_are_the_official_ones(model, version, signature, outputs):
    array = np.float32([[1, 2]])
    official = predict_pb2.PredictRequest(output_filter=outputs)
    plain = get_model_status_pb2.GetModelStatusRequest()
    described = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    for request in (official, plain, described):
        request.model_spec.name = model
        if version is not None:
            request.model_spec.version.value = version
    official.model_spec.signature_name = signature
    official.inputs["x"].CopyFrom(tensors.to_proto(array, as_content=True))
    sent = messages.predict_request(model, version, signature, {"x": messages.tensor(array)}, outputs)
    assert sent == official.SerializeToString(deterministic=True)
    assert messages.status_request(model, version) == plain.SerializeToString()
    assert messages.metadata_request(model, version) == described.SerializeToString()


def test_several_inputs_and_a_refused_one():
    sent = {name: messages.tensor(np.array([name.encode()], object)) for name in ("b", "a")}
    read = predict_pb2.PredictRequest.FromString(messages.predict_request("m", None, "s", sent, ()))
    assert {name: list(one.string_val) for name, one in read.inputs.items()} == {"a": [b"a"], "b": [b"b"]}
    assert not read.model_spec.HasField("version")
    with pytest.raises(TypeError, match="holds a int cannot be sent"):
        messages.tensor(np.array([1], object))
    with pytest.raises(TypeError, match=r"dtype datetime64\[D\] cannot be sent"):
        messages.tensor(np.array(["2020-01-01"], "datetime64[D]"))


def answer_of_a_server() -> predict_pb2.PredictResponse:
    answer = predict_pb2.PredictResponse()
    answer.model_spec.version.CopyFrom(wrappers_pb2.Int64Value(value=7))
    answer.outputs["label"].CopyFrom(tensors.to_proto(np.array([b"rose", b""], object)))
    answer.outputs["probabilities"].CopyFrom(tensors.to_proto(np.float32([[0.25, 0.75], [1, 0]])))
    return answer


def test_a_prediction():
    version, outputs = messages.read_prediction(answer_of_a_server().SerializeToString())
    assert version == 7
    found = {name: tensors.to_array(one).tolist() for name, one in outputs.items()}
    assert found == {"label": [b"rose", b""], "probabilities": [[0.25, 0.75], [1, 0]]}
    assert messages.read_prediction(b"") == (None, {})


def test_an_answer_that_is_cut_is_no_message_or_a_shorter_one():
    """Never another exception, at whatever byte it ends; the official class refuses the same."""
    whole = answer_of_a_server().SerializeToString()
    for end in range(len(whole)):
        try:
            official = predict_pb2.PredictResponse.FromString(whole[:end])
        except Exception:  # google.protobuf.message.DecodeError has moved between versions
            with pytest.raises(wire.WireError) as caught:
                messages.read_prediction(whole[:end])
            assert "\n" not in str(caught.value)
        else:
            assert set(messages.read_prediction(whole[:end])[1]) == set(official.outputs)


@quick
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(junk):
    for read in (messages.read_prediction, messages.read_signatures, messages.read_statuses, messages.read_tensor):
        try:
            read(junk)
        except wire.WireError as error:
            assert str(error)


def test_signatures():
    held = get_model_metadata_pb2.SignatureDefMap()
    signature = held.signature_def["serving_default"]
    signature.inputs["x"].dtype = dtypes.STRING
    signature.inputs["x"].tensor_shape.dim.add(size=-1)
    signature.outputs["y"].dtype = dtypes.FLOAT
    signature.outputs["y"].tensor_shape.unknown_rank = True
    packed = any_pb2.Any()
    packed.Pack(held)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.metadata["signature_def"].CopyFrom(packed)
    answer.metadata["else"].CopyFrom(packed)
    assert messages.read_signatures(answer.SerializeToString()) == {
        "serving_default": {
            "inputs": {"x": {"dtype": "string", "shape": [-1]}},
            "outputs": {"y": {"dtype": "float", "shape": None}},
        }
    }
    answer.metadata["signature_def"].type_url = "type.googleapis.com/another.Message"
    assert messages.read_signatures(answer.SerializeToString()) == {}


def test_statuses():
    answer = get_model_status_pb2.GetModelStatusResponse()
    answer.model_version_status.add(version=3, state=30)
    failed = answer.model_version_status.add(version=2, state=50)
    failed.status.error_code, failed.status.error_message = 5, "gone: größer"
    found = messages.read_statuses(answer.SerializeToString())
    assert found == [(3, 30, 0, ""), (2, 50, 5, "gone: größer")]
