"""The client: answers, chunks, retries, error texts, and no TensorFlow in its process."""

import concurrent.futures
import io
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest
from PIL import Image

from graft.serving import tensors
from graft.serving.client import Client, ClientError, Prediction
from graft.serving.protos import predict_pb2, prediction_service_pb2_grpc


@pytest.fixture(scope="module")
def client(server):
    with Client(server.grpc_address, "images") as opened:
        yield opened


@pytest.mark.slow
def test_predict_contents(client, png):
    predictions = client.predict_contents([png((250, 0, 0)), png((0, 0, 250)), png((0, 250, 0))])
    assert [prediction.label for prediction in predictions] == ["apple", "cheese", "bread"]
    for prediction in predictions:
        assert isinstance(prediction, Prediction)
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-5)
        assert max(prediction.probabilities, key=prediction.probabilities.get) == prediction.label
    assert client.predict_contents([]) == []


@pytest.mark.slow
def test_big_batches_go_in_several_messages(server, png):
    red, blue = png((250, 0, 0)), png((0, 0, 250))
    overhead = 16 << 10
    with Client(server.grpc_address, "images", max_message_bytes=overhead + 3 * len(red), max_batch=2) as small:
        sent = []
        original = small.predict
        small.predict = lambda inputs, **more: sent.append(len(inputs["image_bytes"])) or original(inputs, **more)
        labels = [prediction.label for prediction in small.predict_contents([red, blue] * 3 + [red])]
        assert labels == ["apple", "cheese"] * 3 + ["apple"]
        assert sent == [2, 2, 2, 1]
        with pytest.raises(ClientError, match=f"image 1 has {4 * len(red)} bytes; one message takes at most"):
            small.predict_contents([red, red * 4])


@pytest.mark.slow
def test_the_image_that_the_server_refuses_is_named(server, client, png):
    good = png((250, 0, 0))
    with pytest.raises(ClientError, match=rf"^image 3: {server.grpc_address}: .*Unknown image file format") as caught:
        client.predict_contents([good, good, good, b"no image", good])
    assert "\n" not in str(caught.value) and "{{" not in str(caught.value), "without the account of the graph"
    assert caught.value.place == 3 and caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_model_of_texts_is_sent_texts(server):
    with Client(server.grpc_address, "texts") as client:
        [short, long] = client.predict_contents([b"one", "zwölf".encode()])
        assert short.outputs == {"values": {"bytes": 3.0, "double": 6.0}, "kind": "text"}
        assert long.values == {"bytes": 6.0, "double": 12.0}
        assert client.predict_arrays([b"one", b"three"])["values"].tolist() == [[3, 6], [5, 10]]
        with pytest.raises(AttributeError, match="the model answers kind, values, not label"):
            _ = short.label
        with pytest.raises(ClientError, match=r"^text 1: byte 0 is 0xff") as caught:
            client.predict_contents([b"one", b"\xff"])
        assert caught.value.place == 1


def test_a_model_that_takes_no_contents_is_named(server):
    with (
        Client(server.grpc_address, "half_plus_two") as client,
        pytest.raises(ClientError, match="model half_plus_two takes x; contents can be sent to a model with one input"),
    ):
        client.predict_contents([b"one"])


def as_kind(png: bytes, kind: str, **more) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).save(buffer, kind, **more)
    return buffer.getvalue()


def test_webp_and_tiff_are_converted_before_they_are_sent(client, png):
    red, blue = png((250, 0, 0)), png((0, 0, 250))
    images = [as_kind(red, "WEBP", lossless=True), as_kind(blue, "TIFF"), red, as_kind(blue, "WEBP", lossless=True)]
    assert [prediction.label for prediction in client.predict_contents(images)] == [
        "apple",
        "cheese",
        "apple",
        "cheese",
    ]
    with pytest.raises(ClientError, match="INVALID_ARGUMENT: Unknown image file format"):
        client.predict({"image_bytes": np.array(images[1:2], object)})  # the server itself takes none


def test_a_file_that_cannot_be_converted_is_named(server, png):
    webp, tiff = as_kind(png((250, 0, 0)), "WEBP"), as_kind(png((250, 0, 0)), "TIFF")
    floats = io.BytesIO()
    Image.new("F", (4, 4)).save(floats, "TIFF")
    with Client(server.grpc_address, "images", max_batch=2) as client:
        for bad, message in (
            (webp[:40], "WEBP cannot be decoded: "),
            (tiff[:6], "the file ends within its header"),
            (floats.getvalue(), "TIFF of floating-point numbers"),
        ):
            with pytest.raises(ClientError, match=f"^image 3: {message}") as caught:
                client.predict_contents([webp, tiff, webp, bad])
            assert caught.value.place == 3 and caught.value.code is None
    big = as_kind(png((0, 0, 0), (600, 600)), "WEBP")
    with (
        Client(server.grpc_address, "images", max_message_bytes=(16 << 10) + len(big)) as client,
        pytest.raises(ClientError, match=r"image 1 has \d+ bytes when converted; one message takes at most"),
    ):
        client.predict_contents([png((0, 0, 0)), big])


def test_a_batch_beyond_the_servers_limit_is_refused(server, client, png):
    """Little bytes may stand for many pixels: a thousand images of 70 bytes are half a gigabyte at 224 x 224."""
    many = np.full(1025, png((250, 0, 0)), object)
    with pytest.raises(
        ClientError, match="input image_bytes has 1025 strings; this server takes at most 1024"
    ) as caught:
        client.predict({"image_bytes": many})
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(client.predict({"image_bytes": many[:65]})["label"]) == 65


def test_metadata_and_status(client):
    described = client.metadata()["serving_default"]
    assert described["inputs"] == {"image_bytes": {"dtype": "string", "shape": [-1]}}
    assert described["outputs"]["probabilities"] == {"dtype": "float", "shape": [-1, 3]}
    assert client.status() == [{"version": 1, "state": "AVAILABLE", "error_code": 0, "error_message": ""}]


def test_errors_name_address_model_and_code(server, client):
    with pytest.raises(ClientError) as caught:
        client.predict({"image_bytes": np.array([b"no image"], object)})
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT and caught.value.place is None
    assert str(caught.value).startswith(
        f"{server.grpc_address}: model images: INVALID_ARGUMENT: Unknown image file format"
    )
    with (
        Client(server.grpc_address, "nobody", version=4) as other,
        pytest.raises(ClientError, match="Specific") as caught,
    ):
        other.predict({})
    assert "model nobody version 4: NOT_FOUND" in str(caught.value)


def test_no_server_is_tried_again_within_the_deadline():
    words = r"127\.0\.0\.1:1: model m: UNAVAILABLE after 3 attempts"
    with Client("127.0.0.1:1", "m", deadline_s=30, retries=2) as client, pytest.raises(ClientError, match=words):
        client.status()
    start = time.monotonic()
    with (
        Client("127.0.0.1:1", "m", deadline_s=0.5, retries=1000) as client,
        pytest.raises(ClientError, match="attempts"),
    ):
        client.status()
    assert time.monotonic() - start < 3


class Flaky(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Fails with the given codes, one a call, then answers."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.calls = 0

    def Predict(self, request, context):
        self.calls += 1
        if self.failures:
            context.abort(*self.failures.pop(0))
        response = predict_pb2.PredictResponse()
        response.outputs["y"].CopyFrom(tensors.to_proto(np.float32([1.0])))
        return response


@pytest.fixture
def flaky():
    started = []

    def start(*failures):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        servicer = Flaky(*failures)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started.append(server)
        return servicer, f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop(None)


def test_only_passing_faults_are_tried_again(flaky):
    unavailable, exhausted = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED
    servicer, address = flaky((unavailable, "restarting"), (exhausted, "queue is full"))
    with Client(address, "m") as client:
        assert client.predict({})["y"] == [1.0]
    assert servicer.calls == 3
    for failure in (
        (grpc.StatusCode.INTERNAL, "bug"),
        (grpc.StatusCode.INVALID_ARGUMENT, "bad"),
        (exhausted, "Received message larger than max (5 vs. 4)"),
    ):
        servicer, address = flaky(failure)
        with Client(address, "m") as client, pytest.raises(ClientError) as caught:
            client.predict({})
        assert caught.value.code is failure[0] and servicer.calls == 1


def run_alone(program: str) -> None:
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert child.returncode == 0, child.stderr


def test_the_client_does_not_import_tensorflow():
    run_alone("""
import sys
from graft.serving.client import Client
assert not {"tensorflow", "tensorflow.python", "keras", "PIL"} & sys.modules.keys()
""")


@pytest.mark.slow
def test_the_client_leaves_room_for_tensorflow():
    run_alone("""
from graft.serving.protos import tensor_pb2
from graft.serving import tensors
import numpy as np
proto = tensors.to_proto(np.float32([1, 2]))
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2 as official
assert official.TensorProto is tensor_pb2.TensorProto
assert tf.make_ndarray(proto).tolist() == [1.0, 2.0]
assert type(tf.make_tensor_proto([1])) is tensor_pb2.TensorProto
import graft.serving.server
""")
