"""The gRPC API against a real server on a free port; row ids are those of the conformance table."""

import time

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import classification_pb2

from graft.serving import protos, tensors
from graft.serving.server import EmbeddedServer

DEADLINE_S = 30


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as opened:
        yield opened


@pytest.fixture(scope="module")
def prediction(channel):
    return protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model_service(channel):
    return protos.model_service_pb2_grpc.ModelServiceStub(channel)


def request(name="half_plus_two", signature="", version=None, label=None, outputs=(), **inputs):
    message = protos.predict_pb2.PredictRequest()
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    if version is not None:
        message.model_spec.version.value = version
    if label is not None:
        message.model_spec.version_label = label
    message.output_filter.extend(outputs)
    for alias, array in inputs.items():
        message.inputs[alias].CopyFrom(tensors.to_proto(array))
    return message


X = np.float32([2.0])


def refused(call, message, timeout=DEADLINE_S):
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=timeout)
    return caught.value.code(), caught.value.details()


def test_p01_p02_predict(prediction):
    response = prediction.Predict(request(x=X))
    assert response.model_spec.name == "half_plus_two"
    assert response.model_spec.signature_name == "serving_default"
    assert response.model_spec.version.value == 1
    assert list(response.outputs["y"].float_val) == [3.0] and not response.outputs["y"].tensor_content
    assert prediction.Predict(request(x=X, version=1)).outputs["y"].float_val == [3.0]


def test_batch_of_zero(prediction):
    output = prediction.Predict(request(x=np.float32([]))).outputs["y"]
    assert tensors.to_array(output).shape == (0,)


def test_p03_to_p13_addressing(prediction):
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    assert refused(prediction.Predict, protos.predict_pb2.PredictRequest()) == (invalid, "Missing ModelSpec")
    code, text = refused(prediction.Predict, request("nobody", x=X))
    assert code is missing and "Servable not found for request: Latest(nobody)" in text
    code, text = refused(prediction.Predict, request(version=99, x=X))
    assert code is missing and "Servable not found for request: Specific(half_plus_two, 99)" in text
    code, text = refused(prediction.Predict, request(version=0, x=X))
    assert code is missing and "Specific(half_plus_two, 0)" in text
    code, text = refused(prediction.Predict, request(label="canary", x=X))
    assert code is invalid and "Unrecognized servable version label: canary" in text
    code, text = refused(prediction.Predict, request(signature="S", x=X))
    assert code is grpc.StatusCode.FAILED_PRECONDITION and 'Serving signature key "S" not found' in text


def test_p17_to_p27_inputs_and_outputs(prediction):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    code, text = refused(prediction.Predict, request(x=X, z=X))
    assert code is invalid and "Sent extra: {z}" in text and "Missing but required: {}" in text
    code, text = refused(prediction.Predict, request(x=np.array([2])))
    assert code is invalid and "float" in text and "int64" in text
    both = dict(signature="both", a=X, b=X)
    assert set(prediction.Predict(request(**both)).outputs) == {"sum", "product"}
    assert set(prediction.Predict(request(**both, outputs=["sum"])).outputs) == {"sum"}
    code, text = refused(prediction.Predict, request(**both, outputs=["q"]))
    assert code is invalid and "output tensor alias not found in signature: q" in text


def test_p29_long_errors_are_cut(prediction):
    code, text = refused(prediction.Predict, request(signature="s" * 5000, x=X))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert text.endswith("...TRUNCATED") and len(text) == 1024 + len("...TRUNCATED")


def test_p30_corrupt_image(prediction, png):
    good = prediction.Predict(request("images", image_bytes=np.array([png((250, 0, 0))], dtype=object)))
    assert good.outputs["label"].string_val == [b"apple"]
    bad = request("images", image_bytes=np.array([b"<html>"], dtype=object))
    code, text = refused(prediction.Predict, bad)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "Unknown image file format" in text


def test_broken_examples_are_the_callers_fault(prediction):
    broken = request("odd", "parse", examples=np.array([b"\xff\xfe\x80"], dtype=object))
    code, text = refused(prediction.Predict, broken)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "Could not parse example input" in text and r"\xff" in text


def test_more_dimensions_than_an_array_can_have(prediction):
    message = request("odd", "any", x=np.zeros([1] * 32, np.float32))
    assert len(prediction.Predict(message).outputs["y"].tensor_shape.dim) == 32
    for _ in range(8):
        message.inputs["x"].tensor_shape.dim.add(size=1)
    code, text = refused(prediction.Predict, message)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "has 40 dimensions" in text


def test_a_scalar_string_keeps_its_last_bytes(prediction):
    message = request("odd", "echo", s=np.array(b"a\0\0", dtype=object))
    assert prediction.Predict(message).outputs["text"].string_val == [b"a\0\0"]


def test_tensor_that_claims_more_than_it_holds(prediction):
    message = request(x=X)
    message.inputs["x"].tensor_shape.dim[0].size = 1 << 40
    code, text = refused(prediction.Predict, message)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "bytes more than the values hold" in text


def test_x03_deadline_stops_the_run(prediction):
    start = time.monotonic()
    message = request("zoo", "slow", n=np.int32(2_000_000_000))
    code, _ = refused(prediction.Predict, message, timeout=0.3)
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - start < 3
    assert prediction.Predict(request(x=X), timeout=DEADLINE_S).outputs["y"].float_val == [3.0]


def test_x01_message_cap(models):
    folder = models["half_plus_two"]
    with (
        EmbeddedServer(models={"m": folder}, rest_port=None, max_message_bytes=1000) as small,
        grpc.insecure_channel(small.grpc_address) as channel,
    ):
        stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(request("m", x=X)).outputs["y"].float_val == [3.0]
        code, text = refused(stub.Predict, request("m", x=np.zeros(1000, np.float32)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text


def status_request(name):
    message = protos.get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = name
    return message


def test_control_calls_do_not_wait_for_predictions(models, held):
    with (
        EmbeddedServer(models={"m": models["half_plus_two"]}, rest_port=None, threads=2) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        predict = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [predict.Predict.future(request("m", x=X), timeout=60) for _ in range(12)]
        for _ in range(3):
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            models_stub = protos.model_service_pb2_grpc.ModelServiceStub(channel)
            (version,) = models_stub.GetModelStatus(status_request("m"), timeout=30).model_version_status
            assert version.state == 30
            assert predict.GetModelMetadata(metadata_request("m"), timeout=30).model_spec.name == "m"
        assert not any(call.done() for call in calls)
        held.set()
        assert all(call.result().outputs["y"].float_val == [1.0] for call in calls), "the others waited for a thread"


def test_x05_too_many_predictions_are_refused_at_once(models, held):
    with (
        EmbeddedServer(models={"m": models["half_plus_two"]}, rest_port=None, threads=1) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)
        server._pool.max_calls = 3
        calls = [stub.Predict.future(request("m", x=X), timeout=60) for _ in range(5)]
        end = time.monotonic() + 30
        while sum(call.done() for call in calls) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        refused_calls = [call for call in calls if call.done()]
        for call in refused_calls:
            assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert call.details().startswith("3 predictions are running or waiting")
        held.set()
        assert all(call.result().outputs["y"].float_val == [1.0] for call in calls if call not in refused_calls)
        assert len(refused_calls) == 2


def test_x07_health(channel, server):
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", "ModelService", "PredictionService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    code, _ = refused(stub.Check, health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService"))
    assert code is grpc.StatusCode.NOT_FOUND


def test_calls_not_served_yet_say_so(prediction):
    code, _ = refused(prediction.Classify, classification_pb2.ClassificationRequest())
    assert code is grpc.StatusCode.UNIMPLEMENTED


def metadata_request(name="half_plus_two", fields=("signature_def",)):
    message = protos.get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    message.model_spec.name = name
    return message


def test_m01_to_m04_metadata(prediction):
    response = prediction.GetModelMetadata(metadata_request())
    assert response.model_spec.version.value == 1 and response.model_spec.signature_name == ""
    signatures = protos.get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["both"].outputs) == {"sum", "product"}
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    call = prediction.GetModelMetadata
    code, text = refused(call, metadata_request(fields=[]))
    assert code is invalid and "must specify at least one metadata_field" in text
    code, text = refused(call, metadata_request(fields=["weights"]))
    assert code is invalid and "Metadata field weights is not supported" in text
    bare = protos.get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    assert refused(call, bare) == (invalid, "Missing ModelSpec")
    code, text = refused(call, metadata_request("nobody"))
    assert code is grpc.StatusCode.NOT_FOUND and "Latest(nobody)" in text


def test_s01_to_s06_status(model_service):
    def status(name="half_plus_two", version=None, label=None):
        message = protos.get_model_status_pb2.GetModelStatusRequest()
        message.model_spec.name = name
        if version is not None:
            message.model_spec.version.value = version
        if label is not None:
            message.model_spec.version_label = label
        return message

    call = model_service.GetModelStatus
    for message in (status(), status(version=1), status(label="no such label")):
        (only,) = call(message).model_version_status
        assert (only.version, only.state, only.status.error_code) == (1, 30, 0)
    missing = grpc.StatusCode.NOT_FOUND
    code, text = refused(call, status(version=5))
    assert code is missing and "Could not find version 5 of model half_plus_two" in text
    for name in ("nobody", ""):
        code, text = refused(call, status(name))
        assert code is missing and "Could not find any versions of model" in text
