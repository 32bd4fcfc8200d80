"""A server that follows a store on S3: it answers, takes over a new version, and outlives the store."""

import os
import signal
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest
from store_kinds import Objects

from graft.models.errors import GraftError
from graft.serving import launch
from graft.serving.client import Client
from graft.serving.server import EmbeddedServer
from graft.serving.store import open_store

X = {"x": np.float32([2.0])}


@pytest.fixture
def exports(tmp_path, linear):
    return [linear(tmp_path / f"export{number}", 0.5, float(number)) for number in range(4)]


def eventually(condition, timeout_s=30.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_embedded_server_follows_the_pointer(s3, s3_server, exports):
    store = open_store(s3)
    store.push("m", exports[0], {})
    with EmbeddedServer(s3, poll_s=0.1, rest_port=None) as server, Client(server.grpc_address, "m") as client:
        assert client.predict(X)["y"] == [1.0]
        store.push("m", exports[1], {})
        eventually(lambda: client.predict(X)["y"] == [2.0])
        store.rollback("m")
        eventually(lambda: client.predict(X)["y"] == [1.0])
        # Nothing of it reaches a caller when the store is away.
        s3_server.fault = lambda method, path: (403, "AccessDenied")
        time.sleep(0.5)
        assert client.predict(X)["y"] == [1.0]
        s3_server.plain()
        store.pin("m", 2)
        eventually(lambda: client.predict(X)["y"] == [2.0])


@pytest.mark.slow
def test_a_version_that_rots_in_the_store_leaves_the_old_one_serving(s3, exports):
    store, files = open_store(s3), Objects(s3)
    store.push("m", exports[0], {})
    with EmbeddedServer(s3, poll_s=0.1, rest_port=None) as server, Client(server.grpc_address, "m") as client:
        held = store.push("other", exports[1], {})
        assert held == 1
        store.rollback("m", 1)
        assert store.push("m", exports[2], {}) == 2
        files.write("m/2/saved_model.pb", b"rotten")
        pointer = files.read("m/CURRENT").replace(b'"version": 1', b'"version": 2')
        files.write("m/CURRENT", pointer)
        store.write_models_config()
        eventually(lambda: client.status()[0]["state"] == "END")
        newest, oldest = client.status()
        assert newest["version"] == 2 and newest["error_code"] == grpc.StatusCode.DATA_LOSS.value[0]
        assert "m/2/saved_model.pb: not as the manifest says" in newest["error_message"]
        assert oldest["state"] == "AVAILABLE" and client.predict(X)["y"] == [1.0]


@pytest.mark.slow
def test_a_store_that_fails_for_long_in_the_middle_of_a_load_is_asked_on(s3, s3_server, exports):
    """A version that is no good is tried six times; one that cannot be fetched says nothing about itself."""
    store = open_store(s3)
    store.push("m", exports[0], {})
    with (
        EmbeddedServer(s3, poll_s=0.05, retry_s=0.05, rest_port=None) as server,
        Client(server.grpc_address, "m") as client,
    ):
        denied = []

        def fault(method, path):
            if method != "GET" or not path.endswith("/m/2/saved_model.pb"):
                return None
            denied.append(path)
            return 403, "AccessDenied"

        s3_server.fault = fault
        store.push("m", exports[1], {})
        eventually(lambda: len(denied) > 8)
        newest = client.status()[0]
        assert newest["version"] == 2 and client.predict(X)["y"] == [1.0]
        s3_server.plain()
        eventually(lambda: client.predict(X)["y"] == [2.0])


@pytest.mark.slow
def test_graft_serve_is_a_process_that_answers_from_s3(s3, exports, tmp_path):
    store = open_store(s3)
    store.push("m", exports[0], {})
    command = [sys.executable, "-m", "graft.pipeline.cli", "serve", s3, "--grpc-port", "0", "--rest-port", "-1"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        address = process.stdout.readline().split()[-1]
        with Client(address, "m") as client:
            assert client.predict(X)["y"] == [1.0]
            store.push("m", exports[1], {})
            eventually(lambda: client.predict(X)["y"] == [2.0])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()


@pytest.mark.slow
def test_the_real_server_is_not_given_what_it_cannot_read(s3, exports, monkeypatch):
    open_store(s3).push("m", exports[0], {})
    monkeypatch.setattr(launch.shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(GraftError, match=r"reads no s3:// since version 2\.7, so it cannot serve s3://"):
        launch.serve(s3, embedded=False)
    monkeypatch.setattr(launch, "_run_embedded", lambda *_: 7)
    assert launch.serve(s3) == 7, "the embedded one does"
