"""Which server serves a store, and how the real one is called: a fake binary on the PATH writes down its arguments."""

import logging
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading
import time

import pytest

from graft.models.errors import GraftError
from graft.serving import launch, observers
from graft.serving.observers import Observer, Page
from graft.serving.store import StoreError, open_store


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"graph")
    store = open_store(tmp_path / "store")
    store.push("m", folder, {})
    return store


@pytest.fixture
def fake_binary(tmp_path, monkeypatch):
    """Installs a script as tensorflow_model_server; returns the file its arguments go to."""

    def install(ending: str) -> pathlib.Path:
        folder, written = tmp_path / "bin", tmp_path / "arguments"
        folder.mkdir()
        script = folder / launch.BINARY
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {written}.part\nmv {written}.part {written}\n{ending}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return written

    return install


def test_the_real_server_is_used_where_it_is_on_the_path(store, fake_binary, caplog):
    caplog.set_level(logging.INFO)
    written = fake_binary("exit 7")
    (store.path / "models.config").unlink()
    assert launch.serve(store.path, 8500, 8501, extra=("--enable_batching",)) == 7
    assert written.read_text().split("\n")[:-1] == [
        "--port=8500",
        "--rest_api_port=8501",
        f"--model_config_file={store.path / 'models.config'}",
        "--model_config_file_poll_wait_seconds=1",
        "--enable_batching",
    ]
    assert "versions: 1" in (store.path / "models.config").read_text()
    assert f"with {written.parent / 'bin' / launch.BINARY}" in caplog.text


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"host": "10.0.0.7"}, "host"),
        ({"rest_port": 0}, "port 0"),
        ({"freeze": False}, "no-freeze"),
        ({"trusted": ["m"]}, "trust"),
        ({"timeout_s": 5.0}, "timeout"),
        ({"observers": ["metrics"]}, "observe"),
    ],
)
def test_what_the_real_server_cannot_do_is_refused(store, fake_binary, options, named):
    fake_binary("exit 7")
    with pytest.raises(GraftError, match=rf"listens on all interfaces.*has no option for: {named};.*--embedded"):
        launch.serve(store, **options)


def test_rest_off():
    assert "--rest_api_port=0" in launch.serve_command("x", pathlib.Path("c"), 1, None)


def test_sigterm_reaches_the_real_server(store, fake_binary):
    written = fake_binary("exec sleep 60")

    def send():
        while not written.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), 15)

    sender = threading.Thread(target=send)
    sender.start()
    start = time.monotonic()
    assert launch.serve(store) == 0
    assert time.monotonic() - start < 30
    sender.join()


def test_a_signal_that_comes_while_the_real_server_starts_is_not_lost(store, fake_binary, monkeypatch):
    fake_binary("exec sleep 60")
    start = subprocess.Popen

    def started(command):
        server = start(command)
        os.kill(os.getpid(), signal.SIGTERM)
        return server

    monkeypatch.setattr(subprocess, "Popen", started)
    began = time.monotonic()
    assert launch.serve(store) == 0
    assert time.monotonic() - began < 30


def test_the_embedded_server_is_used_otherwise_and_says_so(store, fake_binary, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    seen = []
    monkeypatch.setattr(launch, "_run_embedded", lambda *arguments: seen.append(arguments) or 0)
    fake_binary("exit 7")
    assert launch.serve(store, embedded=True) == 0
    monkeypatch.setenv("PATH", "")
    assert launch.serve(store, freeze=False, timeout_s=5.0, observers=["metrics"]) == 0
    assert len(seen) == 2 and seen[1][-4:] == (False, (), 5.0, ["metrics"])
    assert caplog.text.count("with Graft's embedded server") == 2


def test_a_page_needs_the_rest_port(store, monkeypatch):
    class Shown(Observer):
        def observe(self, served):
            pass

        def pages(self):
            return {"/monitoring/x": Page("text/plain", bytes)}

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(observers, "load", lambda names: [Shown()])
    with pytest.raises(GraftError, match="/monitoring/x would be on the REST port, which is off"):
        launch.serve(store, 0, None, observers=["shown"])


def test_one_port_for_both_goes_on_without_rest(tmp_path, linear, monkeypatch, caplog):
    """As TensorFlow Serving does."""
    monkeypatch.setenv("PATH", "")
    store = open_store(tmp_path / "both")
    store.push("m", linear(tmp_path / "model", 0.5, 2.0), {})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    seen = []

    def ready(grpc, rest):
        seen.append((grpc, rest))
        os.kill(os.getpid(), signal.SIGTERM)

    assert launch.serve(store, port, port, on_ready=ready) == 0
    assert seen == [(f"127.0.0.1:{port}", None)]
    assert f"REST port {port} is the gRPC port: REST is not served" in caplog.text


def test_a_time_limit_of_nothing_is_refused(store, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GraftError, match="rest_timeout_s is 0; it must be more than 0"):
        launch.serve(store, 0, 0, timeout_s=0)


@pytest.mark.parametrize("ports", [(99999, None), (0, 65536), (-1, 0)])
def test_a_port_that_there_cannot_be(store, ports):
    with pytest.raises(GraftError, match=r"port: received -?\d+; allowed: 0 \(a free one\) to 65535"):
        launch.serve(store, *ports)


def test_what_cannot_be_served(store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="tensorflow_model_server is not on the PATH"):
        launch.serve(store, embedded=False)
    with pytest.raises(StoreError, match="no such folder"):
        launch.serve(tmp_path / "typo")
