"""The REST API over real HTTP; row ids are those of the conformance table."""

import base64
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import math
import socket
import threading
import time
import urllib.parse

import numpy as np
import pytest

from graft.serving import json_tensors
from graft.serving.limits import Limits
from graft.serving.server import EmbeddedServer
from graft.serving.status import ServingError

PREDICT = "/v1/models/half_plus_two:predict"
ODD = "/v1/models/odd:predict"


def call(server, method, path, body=None, **headers):
    """Status, parsed body (None if empty) and headers; the path goes out exactly as given."""
    address = urllib.parse.urlsplit(server.rest_address)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        content = json.dumps(body) if isinstance(body, dict | list) else body
        connection.request(method, path, content, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if text else None, response.headers
    finally:
        connection.close()


@pytest.fixture
def get(server):
    return lambda path, **headers: call(server, "GET", path, **headers)[:2]


@pytest.fixture
def post(server):
    return lambda path, body, **headers: call(server, "POST", path, body, **headers)[:2]


def test_r01_r02_status(get):
    expected = {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    for path in ("", "/versions/1", "/labels/any"):
        assert get(f"/v1/models/half_plus_two{path}") == (200, expected)


def test_r03_r04_r06_unknown_models_and_versions(get, post):
    assert get("/v1/models/half_plus_two/versions/999") == (
        404,
        {"error": "Could not find version 999 of model half_plus_two"},
    )
    assert get("/v1/models/nobody") == (404, {"error": "Could not find any versions of model nobody"})
    assert get("/v1/models") == (400, {"error": "Missing model name in request."})
    for answer in (get("/v1/models/nobody/metadata"), post("/v1/models/nobody:predict", {"inputs": [1]})):
        assert answer == (404, {"error": "Servable not found for request: Latest(nobody)"})


def test_metadata_equals_upstreams_golden_file(graft_data):
    folder = graft_data / "serving_fixtures"
    golden = json.loads((folder / "half_plus_two_model_metadata.json").read_text())
    with EmbeddedServer(models={"default": folder / "saved_model_half_plus_two_cpu"}) as server:
        assert call(server, "GET", "/v1/models/default/metadata")[:2] == (200, golden)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("POST", "/v1/foo"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/foo:predict"),
        ("POST", "/v1/models/half_plus_two/metadata"),
        ("GET", "/v1/models/half_plus_two/version/50"),
        ("GET", "/v1/models/half_plus_two/label/x"),
        ("GET", "/v1/models/half_plus_two/versions/HELLO"),
        ("GET", "/v1/models/half_plus_two/versions/1/labels/x"),
        ("PUT", "/v1/models/half_plus_two"),
        ("DELETE", "/v1/models/half_plus_two"),
        ("PATCH", "/v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two:predict?a=1"),
    ],
)
def test_r07_r10_r15_malformed(server, method, path):
    status, body, headers = call(server, method, path, "{}")
    assert (status, body) == (400, {"error": f"Malformed request: {method} {path}"})
    assert headers["Content-Type"] == "application/json"


def test_r08_r14_r15_odd_names(get, post):
    status, body = get("/v1/models/half_plus_two/versions/18446744073709551615")
    assert status == 400 and "Failed to convert version" in body["error"]
    for digits in ("9" * 5000, str(2**63)):
        for status, body in (
            get(f"/v1/models/half_plus_two/versions/{digits}"),
            post(f"/v1/models/half_plus_two/versions/{digits}:predict", {"inputs": [1]}),
        ):
            assert status == 400 and f"Failed to convert version: {digits[:10]}" in body["error"]
    assert get("/v1/models/half_plus_two/versions/" + "0" * 30 + "1")[0] == 200
    assert get("/v1/models/a%2Fb")[1]["error"].endswith("model a/b")
    assert get("/v1/models/..%2F..%2Fetc")[0] == 404
    assert get("/v1/models/half_plus_two?a=1")[1]["error"].endswith("model half_plus_two?a=1")
    assert get("/V1/MODELS/half_plus_two")[0] == 200, "upstream's routes ignore case"
    assert get("/somewhere")[0] == 404


def test_r11_options(server):
    assert call(server, "OPTIONS", PREDICT, Origin="https://example.org")[:2] == (200, None)
    assert call(server, "OPTIONS", PREDICT)[:2] == (400, None)


def test_r18_r19_gzip(post, models):
    body = gzip.compress(b'{"inputs": [2.0]}')
    assert post(PREDICT, body, Content_Encoding="gzip") == (200, {"outputs": [3.0]})
    status, answer = post(PREDICT, b"not gzip", Content_Encoding="gzip")
    assert status == 400 and "not gzip" in answer["error"]
    status, answer = post(PREDICT, body[:-12], Content_Encoding="gzip")
    assert status == 400 and "ends too early" in answer["error"]


def test_bodies_over_the_cap_are_refused_also_when_packed(models):
    folder = models["half_plus_two"]
    with EmbeddedServer(models={"half_plus_two": folder}, max_message_bytes=10_000) as server:
        bomb = gzip.compress(b" " * 50_000_000)
        assert len(bomb) > 10_000 / 2
        for body, headers in (
            (b" " * 20_000, {}),
            (gzip.compress(b" " * 20_000), {"Content_Encoding": "gzip"}),
            (bomb, {}),
        ):
            status, answer, _ = call(server, "POST", PREDICT, body, **headers)
            assert status == 413 and "larger than 10000 bytes" in answer["error"]
        assert call(server, "POST", PREDICT, {"inputs": [2.0]})[:2] == (200, {"outputs": [3.0]})


def test_j01_j02_predict_both_forms(post):
    for path in (PREDICT, "/v1/models/half_plus_two/versions/1:predict"):
        assert post(path, {"instances": [2.0, 3.0, 4.0]}) == (200, {"predictions": [3.0, 3.5, 4.0]})
        assert post(path, {"inputs": [2.0, 3.0, 4.0]}) == (200, {"outputs": [3.0, 3.5, 4.0]})
        assert post(path, {"inputs": {"x": [2]}, "signature_name": "serving_default"}) == (200, {"outputs": [3.0]})


def test_j03_j04_several_inputs_and_outputs(post):
    rows = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]
    assert post(PREDICT, {"signature_name": "both", "instances": rows}) == (
        200,
        {"predictions": [{"sum": 5.0, "product": 1.0}, {"sum": 9.0, "product": 6.0}]},
    )
    columns = {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert post(PREDICT, {"signature_name": "both", "inputs": columns}) == (
        200,
        {"outputs": {"sum": [5.0, 9.0], "product": [1.0, 6.0]}},
    )


def test_outputs_without_a_batch_dimension(post):
    zoo = "/v1/models/zoo:predict"
    assert post(zoo, {"signature_name": "scalar", "inputs": [1.0, 2.0]}) == (
        200,
        {"outputs": {"total": 3.0, "x": [1.0, 2.0]}},
    )
    status, answer = post(zoo, {"signature_name": "scalar", "instances": [1.0, 2.0]})
    assert status == 400 and "total has no shape information" in answer["error"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error"),
        ("[1]", "is not a JSON object"),
        (b'{"inputs": "\xff"}', "JSON Parse error: not UTF-8"),
        ({"instances": [1], "inputs": [1]}, "Not formatted correctly expecting only one of"),
        ({"signature_name": "both"}, "Missing 'inputs' or 'instances' key"),
        ({"instances": 1}, "to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"signature_name": 3, "inputs": [1]}, "'signature_name' key must be a string"),
        ({"signature_name": "S", "inputs": [1]}, 'Serving signature name: "S" not found in signature def'),
        ({"instances": [[1, 2], [3, 4], [5, 6, 7]]}, "Expecting tensor size: 2 but got: 3"),
        ({"instances": [[1, 2], [[3, 4]]]}, "Expecting shape [2] but got: [1,2]"),
        ({"inputs": [[1, 2], [3]]}, "Expecting tensor size: 2 but got: 1"),
        ({"instances": [1, [2]]}, "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT"),
        ({"signature_name": "both", "instances": [1]}, "instances is a plain list, but expecting list of objects"),
        ({"signature_name": "both", "inputs": [1]}, "but expecting an object"),
        ({"instances": [{"x": 1}, [2]]}, "Expecting object but got list at item 1"),
        ({"instances": [1, {"x": 2}]}, "Expecting value/list but got object at item 1"),
        ({"instances": [{"z": 1}]}, "does not have named input: z"),
        ({"instances": [{"\ud800": 1}]}, "does not have named input"),
        ({"signature_name": "both", "instances": [{"a": 1}]}, "keys must be equal to: a,b"),
        ({"signature_name": "both", "inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object"),
        ({"inputs": {"x": [1], "z": [1]}}, "no inputs of the signature: z"),
        ({"inputs": ["a"]}, 'JSON Value: "a" Type: String is not of expected type: float'),
        ({"inputs": [1, True]}, "JSON Value: true Type: Bool is not of expected type: float"),
        ({"inputs": [None]}, "Type: Null"),
        ({"instances": [{"x": "a"}]}, "Failed to process element: 0 key: x of 'instances' list"),
    ],
)
def test_j07_to_j16_refusals(post, body, words):
    status, answer = post(PREDICT, body)
    assert status == 400 and words in answer["error"]


def test_j06_text_after_the_object_is_ignored(post):
    assert post(PREDICT, '{"inputs": [2.0]} and more')[0] == 200


def test_j18_j19_numbers_beyond_float(post):
    assert post(PREDICT, '{"inputs": [1e39, -1e39, 1e-50, 1435774380, 1e400]}') == (
        200,
        {"outputs": [math.inf, -math.inf, 2.0, 717887170.0, math.inf]},
    )
    assert post(PREDICT, '{"inputs": [' + "9" * 400 + "]}")[1] == {"outputs": [math.inf]}
    status, answer = post(PREDICT, '{"inputs": [NaN, Infinity, -Infinity]}')
    assert status == 200 and math.isnan(answer["outputs"][0]) and answer["outputs"][1:] == [math.inf, -math.inf]


def test_a_number_of_too_many_digits(post):
    status, answer = post(PREDICT, '{"inputs": [' + "9" * 5000 + "]}")
    assert (status, answer) == (400, {"error": "JSON Parse error: a number has too many digits"})


def zoo(signature, **body):
    return {"signature_name": signature} | body


def test_j20_base64_and_strings(post):
    path = "/v1/models/zoo:predict"
    assert post(path, zoo("echo", instances=[{"b64": "/+8="}])) == (
        200,
        {"predictions": [{"raw_bytes": {"b64": "/+8="}, "text": {"b64": "/+8="}}]},
    )
    assert post(path, zoo("echo", inputs=["ä", {"b64": "YQ=="}]))[1] == {
        "outputs": {"raw_bytes": [{"b64": "w6Q="}, {"b64": "YQ=="}], "text": ["ä", "a"]}
    }
    for wrong, words in (
        ({"b64": "_-8="}, "Unable to base64 decode"),
        ({"b64": "/+8"}, "Unable to base64 decode"),
        ({"b64": "YQ==", "more": 1}, "not formatted correctly for base64 data"),
    ):
        status, answer = post(path, zoo("echo", inputs=[wrong]))
        assert status == 400 and words in answer["error"]


def test_a_single_string_in_columnar_form(post):
    for inputs in ({"b64": "YQA="}, {"s": {"b64": "YQA="}}, "a\0"):
        assert post(ODD, zoo("echo", inputs=inputs)) == (200, {"outputs": "a\0"})


def test_a_signature_without_inputs(post):
    rows = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert post(ODD, zoo("nothing", instances=[{}])) == (200, {"predictions": rows})
    assert post(ODD, zoo("nothing", inputs={})) == (200, {"outputs": rows})


def test_j26_outputs_without_rows_or_columns(post):
    assert post(ODD, zoo("no_rows", instances=[1.0, 2.0])) == (200, {"predictions": []})
    assert post(ODD, zoo("no_rows", inputs=[1.0, 2.0])) == (200, {"outputs": {"y": [], "z": []}})
    assert post(ODD, zoo("no_columns", instances=[1.0])) == (200, {"predictions": [{"y": 1.0, "z": []}]})


def test_broken_examples_are_the_callers_fault(post):
    status, answer = post(ODD, zoo("parse", inputs=[{"b64": "//6A"}]))
    assert status == 400 and "Could not parse example input" in answer["error"]


def test_images_by_base64(post, png):
    encoded = base64.b64encode(png((0, 250, 0))).decode()
    status, answer = post(
        "/v1/models/images:predict", {"instances": [{"b64": encoded}, {"image_bytes": {"b64": encoded}}]}
    )
    assert status == 400, "forms are not mixed"
    status, answer = post("/v1/models/images:predict", {"instances": [{"image_bytes": {"b64": encoded}}] * 2})
    assert status == 200
    assert [row["label"] for row in answer["predictions"]] == ["bread", "bread"]
    assert answer["predictions"][0]["classes"] == ["apple", "bread", "cheese"]


def test_j23_j24_types(post):
    path = "/v1/models/zoo:predict"
    for kind, values in {
        "int8": [-128, 127],
        "uint8": [0, 255],
        "int64": [-(2**63), 2**63 - 1],
        "bool": [True, False],
    }.items():
        assert post(path, zoo(kind, inputs=values)) == (200, {"outputs": values})
    for kind, value in {"int8": 128, "uint8": -1, "int64": 2**63, "bool": 1}.items():
        status, answer = post(path, zoo(kind, inputs=[value]))
        assert status == 400 and f"is not of expected type: {kind}" in answer["error"]
    assert "expected type: int64" in post(path, zoo("int64", inputs=[1.5]))[1]["error"]
    for kind in ("half", "complex64"):
        name = {"half": "float16"}.get(kind, kind)
        status, answer = post(path, zoo(name, inputs=[1]))
        assert status == 501 and f"to type: {kind}" in answer["error"]
        status, answer = post(path, zoo(name, instances=[1]))
        assert status == 400 and f"UNIMPLEMENTED: Conversion of JSON Value: 1 to type: {kind}" in answer["error"]


def test_j26_no_rows(post):
    assert post(PREDICT, {"inputs": []}) == (200, {"outputs": []})


@pytest.mark.parametrize("form", ["inputs", "instances"])
@pytest.mark.parametrize("depth", [31, 32, 33, 34, 900, 990, 50_000])
def test_j27_nesting(post, depth, form):
    body = f'{{"signature_name": "any", "{form}": {"[" * depth}1.5{"]" * depth}}}'
    status, answer = post(ODD, body)
    assert status == (200 if depth <= 32 else 400)
    assert depth <= 32 or "nested deeper than 32 levels" in answer["error"]
    assert post(PREDICT, {"inputs": [2.0]}) == (200, {"outputs": [3.0]})


@pytest.mark.parametrize("depth", [32, 990, 50_000])
@pytest.mark.parametrize(
    "body", ["%s", '{"signature_name": %s}', '{"inputs": {"x": %s}}', '{"inputs": {"more": %s}}', '{"inputs": [%s]}']
)
def test_nested_values_where_none_belong(post, depth, body):
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        status, answer = post(PREDICT, body % f"{opening * depth}null{closing * depth}")
        assert status == 400 and not answer["error"].startswith("Internal")


def test_kernel_errors_have_their_codes(post):
    status, answer = post("/v1/models/zoo:predict", zoo("dense", inputs=[[1.0, 2.0]]))
    assert status == 400 and "Matrix size-incompatible" in answer["error"]


def test_a_run_past_the_time_limit_is_504(models):
    with EmbeddedServer(models={"zoo": models["zoo"]}, rest_timeout_s=0.2) as server:
        status, answer, _ = call(server, "POST", "/v1/models/zoo:predict", zoo("slow", inputs=2_000_000_000))
        assert status == 504 and "Timed out" in answer["error"]


def test_an_answer_of_more_values_than_fit_is_refused(models):
    small = {"max_message_bytes": 60_000, "limits": Limits(pending_bytes=100_000)}
    with EmbeddedServer(models={"m": models["half_plus_two"]}, **small) as server:
        status, answer, _ = call(server, "POST", "/v1/models/m:predict", {"inputs": [1.0] * 2000})
        assert (
            status == 413 and "the request has up to 2003 JSON values; this server takes at most 781" in answer["error"]
        )
        status, answer, _ = call(server, "POST", "/v1/models/m:predict", {"inputs": [1.0] * 600})
        assert status == 503 and "this server holds at most 100000" in answer["error"], "values and their text"
        assert call(server, "POST", "/v1/models/m:predict", {"inputs": [1.0] * 300})[0] == 200
        assert server._budget.held == 0


def test_the_writing_of_an_answer_has_a_time_limit():
    outputs = {"y": np.zeros(5, np.float32)}
    assert json_tensors.format_response(outputs, False, time.monotonic() + 60)
    with pytest.raises(ServingError, match="Timed out while the answer was written"):
        json_tensors.format_response(outputs, False, time.monotonic() - 1)


def test_calls_not_served_yet_say_so(post):
    status, answer = post("/v1/models/half_plus_two:classify", {"examples": [{"x": 1.0}]})
    assert status == 501 and ":classify is not served" in answer["error"]


def test_the_cap_on_images_holds_here_too(models, png):
    image = {"b64": base64.b64encode(png((0, 250, 0))).decode()}
    with EmbeddedServer(models={"images": models["images"]}, max_batch=2) as server:
        for body in ({"instances": [{"image_bytes": image}] * 3}, {"inputs": {"image_bytes": [image] * 3}}):
            status, answer, _ = call(server, "POST", "/v1/models/images:predict", body)
            assert status == 400 and "image_bytes has 3 strings; this server takes at most 2" in answer["error"]
        status, answer, _ = call(server, "POST", "/v1/models/images:predict", {"inputs": {"image_bytes": [image] * 2}})
        assert status == 200 and answer["outputs"]["label"] == ["bread", "bread"]


def test_answers_are_not_held_back(server):
    """Nagle's algorithm and a client's delayed ACK make 40 ms of every answer on a kept connection."""
    address = urllib.parse.urlsplit(server.rest_address)
    with contextlib.closing(http.client.HTTPConnection(address.hostname, address.port, timeout=30)) as connection:
        connection.request("GET", "/v1/models/half_plus_two")
        connection.getresponse().read()
        accepted = [protocol.transport for protocol in server._rest._server.server_state.connections]
        assert accepted
        for transport in accepted:
            options = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert options != 0


def test_an_upgrade_to_websocket_is_answered_as_a_plain_request(server):
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    status, answer, _ = call(server, "GET", "/v1/models/half_plus_two", **upgrade)
    assert status == 200 and answer["model_version_status"][0]["state"] == "AVAILABLE"


def test_status_does_not_wait_for_predictions(models, held):
    with (
        EmbeddedServer(models={"m": models["half_plus_two"]}, threads=2) as server,
        concurrent.futures.ThreadPoolExecutor(70) as clients,
    ):
        calls = [clients.submit(call, server, "POST", "/v1/models/m:predict", {"inputs": [1.0]}) for _ in range(50)]
        server._pool.max_calls = 50
        eventually(lambda: server._pool.full)
        for path in ("", "/metadata"):
            assert call(server, "GET", f"/v1/models/m{path}")[0] == 200
        status, answer, _ = call(server, "POST", "/v1/models/m:predict", {"inputs": [1.0]})
        assert status == 429 and answer["error"].startswith("50 predictions are running or waiting")
        assert not any(waiting.done() for waiting in calls)
        held.set()
        assert [waiting.result()[:2] for waiting in calls] == [(200, {"outputs": [1.0]})] * 50


@pytest.mark.slow
def test_the_wait_for_a_thread_counts_to_the_time_limit(models):
    with (
        EmbeddedServer(models={"m": models["half_plus_two"]}, threads=1, rest_timeout_s=0.2) as server,
        concurrent.futures.ThreadPoolExecutor(1) as clients,
    ):
        gate = threading.Event()
        server._pool.submit(gate.wait)
        waiting = clients.submit(call, server, "POST", "/v1/models/m:predict", {"inputs": [1.0]})
        time.sleep(0.5)
        gate.set()
        status, answer, _ = waiting.result()
        assert status == 504 and "Timed out" in answer["error"]


def test_an_ending_server_refuses_also_on_open_connections(models):
    with EmbeddedServer(models={"m": models["half_plus_two"]}) as server:
        server._rest._app.ending = True
        for method, path in (("GET", "/v1/models/m"), ("POST", "/v1/models/m:predict")):
            status, answer, _ = call(server, method, path, '{"inputs": [1.0]}')
            assert status == 503 and "the server is ending" in answer["error"]


def eventually(condition, timeout_s=30.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)


def test_float_text():
    from serving.json_tensors import format_float

    expected = {3.0: "3.0", 9e6: "9e+06", 3e-5: "3e-05", 0.1: "0.1", 16777216.0: "16777216.0", 1 / 3: "0.33333334"}
    for value, text in expected.items():
        assert format_float(np.float32(value)) == text
        assert np.float32(text) == np.float32(value)
    assert format_float(np.float64(1 / 3)) == "0.3333333333333333"
