"""Requests made to take memory or time: each gets one clear status, and the others are answered meanwhile."""

import base64
import contextlib
import gzip
import http.client
import json
import socket
import threading
import time

import fuzz_requests
import numpy as np
import pytest
import soak
from small_images import png_by_hand

from graft.serving.client import Client, ClientError
from graft.serving.protos import example_pb2

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
X = np.float32([2.0])


def post(server, model: str, body: bytes, **headers: str) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(*server.rest, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("POST", f"/v1/models/{model}:predict", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def answered(server) -> bool:
    with Client(server.grpc, "m", deadline_s=PATIENCE_S) as client:
        by_grpc = client.predict({"x": X})["y"].tolist()
    return by_grpc == [3.0] and post(server, "m", b'{"inputs": [2.0]}') == (200, {"outputs": [3.0]})


def bomb(side: int) -> bytes:
    """A black PNG of side x side pixels in some kilobytes."""
    return png_by_hand(side, side, 1, 0, bytes(side // 8 + 1) * side, level=9)


def images(*encoded: bytes) -> np.ndarray:
    array = np.empty(len(encoded), dtype=object)
    array[:] = encoded
    return array


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
def test_unfinished_uploads_share_one_budget(attacked, chunked):
    """20 uploads of 60 MB, of which the last byte never comes."""
    size, before = 60_000_000, attacked.usage().memory
    framing = f"{size:x}\r\n" if chunked else ""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = f"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n{framing}".encode()
    connections = [socket.create_connection(attacked.rest, timeout=PATIENCE_S) for _ in range(20)]
    part = bytes(1 << 20)
    uploads = []
    try:
        for connection in connections:
            connection.sendall(head)

            def send(connection=connection):
                with contextlib.suppress(OSError):
                    for _ in range(size // len(part)):
                        connection.sendall(part)

            uploads.append(threading.Thread(target=send))
            uploads[-1].start()
        most = 0
        while any(upload.is_alive() for upload in uploads):
            most = max(most, attacked.usage().memory - before)
            time.sleep(0.02)
        assert answered(attacked), "the last quarter is for small bodies"
        most = max(most, attacked.usage().memory - before)
        # The budget is 256 MiB. Buffers that grow are copied, and sockets hold some; the 20 bodies have 1.2 GB.
        assert most < 640 << 20
        refused = 0
        for connection in connections:
            connection.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                refused += b"this server holds at most 268435456" in connection.recv(1 << 16)
        assert refused
    finally:
        for connection in connections:
            connection.close()


def test_a_gzip_bomb_stops_at_the_cap(attacked):
    packed = gzip.compress(bytes(200 << 20))
    before = attacked.usage().memory
    status, answer = post(attacked, "m", packed, **{"Content-Encoding": "gzip"})
    assert status == 413 and "larger than 67108864 bytes" in answer["error"]
    assert attacked.usage().memory - before < 200 << 20


def test_millions_of_values_in_some_kilobytes_of_gzip_are_refused_before_they_are_read(attacked):
    packed = gzip.compress(b'{"inputs": [' + b"0," * 30_000_000 + b"0]}")
    assert len(packed) < 100_000
    before = attacked.usage().memory
    status, answer = post(attacked, "m", packed, **{"Content-Encoding": "gzip"})
    assert status == 413 and "has up to 30000004 JSON values; this server takes at most" in answer["error"]
    assert attacked.usage().memory - before < 200 << 20


def test_pixels_are_counted_before_they_are_decoded(attacked):
    few, many = [bomb(1024)], [bomb(1024)] * 2
    with Client(attacked.grpc, "images", deadline_s=PATIENCE_S, retries=0) as client:
        assert client.predict({"image_bytes": images(*few)})["label"].tolist() == [b"apple"]
        with pytest.raises(ClientError, match="announce 2097152 pixels; this server takes at most 1048576") as caught:
            client.predict({"image_bytes": images(*many)})
        assert caught.value.code.name == "INVALID_ARGUMENT"
        inside = example_pb2.Example()
        inside.features.feature["image"].bytes_list.value.extend(many)
        with pytest.raises(ClientError, match="announce 2097152 pixels"):
            client.predict({"image_bytes": images(inside.SerializeToString())})
    for encoded, expected in ((few, 200), (many, 400)):
        rows = [{"image_bytes": {"b64": base64.b64encode(one).decode()}} for one in encoded]
        status, answer = post(attacked, "images", json.dumps({"instances": rows}).encode())
        assert status == expected and (status == 200 or "announce 2097152 pixels" in answer["error"])
    with Client(attacked.grpc, "images", deadline_s=PATIENCE_S, max_cost=1 << 20) as client:
        assert len(client.predict_contents(many)) == 2, "Graft's client sends them one by one"


@pytest.mark.slow
def test_random_requests_in_small(tmp_path, capsys):
    assert fuzz_requests.fuzz(400, 3, 300, tmp_path / "failures") == 0, capsys.readouterr().out


@pytest.mark.slow
def test_a_soak_in_small(capsys):
    assert soak.soak(6, 0) == 0, capsys.readouterr().out
