"""A request is known by its caller's id or by a new one, over both transports, and its answer names it."""

import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

from graft.serving import request_ids, tensors
from graft.serving.client import Client, ClientError
from graft.serving.protos import predict_pb2, prediction_service_pb2_grpc

SOUND = ["a", "5f0c7c1e9c3b4e0e8b6f3f5d5a2c9e11", "A.b_c:d-1", "x" * 128]
UNSOUND = ["", "x" * 129, "-a", "a b", "a/b", "a,b", "ä", "a\n", "../a", '"']


@pytest.mark.parametrize("text", SOUND)
def test_sound_ids(text):
    assert request_ids.chosen([text]) == request_ids.chosen([text.encode()]) == text


@pytest.mark.parametrize("brought", [[], *([text] for text in UNSOUND), ["a", "b"], [b"\xff"]])
def test_in_place_of_another_there_is_a_new_one(brought):
    one, other = request_ids.chosen(brought), request_ids.chosen(brought)
    assert one != other and len(one) == 32 and request_ids.is_sound(one)


def call(server, model, *ids):
    """What the trailing metadata of a call names."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["x"].CopyFrom(tensors.to_proto(np.float32([1])))
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            _, done = stub.Predict.with_call(request, metadata=[("x-request-id", one) for one in ids], timeout=30)
        except grpc.RpcError as error:
            done = error
    return [value for key, value in done.trailing_metadata() if key == "x-request-id"]


def get(server, path, body=None, **headers):
    request = urllib.request.Request(f"{server.rest_address}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers.get_all("X-Request-Id")
    except urllib.error.HTTPError as error:
        return error.headers.get_all("X-Request-Id")


@pytest.mark.parametrize("model", ["half_plus_two", "nobody"])
def test_both_transports_give_the_id_back_whatever_becomes_of_the_request(server, model):
    assert call(server, model, "mine") == ["mine"]
    body = json.dumps({"instances": [1.0]}).encode()
    assert get(server, f"/v1/models/{model}:predict", body, **{"X-Request-Id": "mine"}) == ["mine"]
    for found in (call(server, model), call(server, model, "a b"), call(server, model, "a", "b")):
        assert len(found) == 1 and len(found[0]) == 32
    made = get(server, f"/v1/models/{model}:predict", body, **{"X-Request-Id": "a b"})
    assert len(made) == 1 and len(made[0]) == 32


def test_other_requests_have_ids_too(server):
    assert get(server, "/v1/models/half_plus_two", **{"X-Request-Id": "s"}) == ["s"]
    assert len(get(server, "/nothing")[0]) == 32


def test_the_clients_answers_know_their_request(server):
    with Client(server.grpc_address, "texts") as client:
        contents = [b"a", b"b", b"c"]
        client._max_batch = 2
        predictions = client.predict_contents(contents)
    assert [prediction.row for prediction in predictions] == [0, 1, 0]
    first, second, third = (prediction.request_id for prediction in predictions)
    assert first == second != third
    with Client(server.grpc_address, "half_plus_two") as client:
        assert client.predict({"x": np.float32([1])}, request_id="mine").request_id == "mine"
        with pytest.raises(ClientError, match=r"request_id is 'a b'; allowed: a letter or digit"):
            client.predict({"x": np.float32([1])}, request_id="a b")
