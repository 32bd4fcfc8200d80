"""The server as a whole: hot reload under load, broken versions, start, drain."""

import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from graft.serving.client import Client, ClientError
from graft.serving.server import EmbeddedServer, ServerError
from graft.serving.store import ModelStore, open_store

X = {"x": np.float32([2.0])}


@pytest.fixture
def exports(tmp_path, linear):
    return [linear(tmp_path / f"export{number}", 0.5, float(number)) for number in range(3)]


@pytest.fixture
def store(tmp_path, exports):
    store = open_store(tmp_path / "store")
    store.push("m", exports[0], {})
    return store


def eventually(condition, timeout_s=20.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.02)


def damage(folder: pathlib.Path) -> None:
    path = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_hot_reload_under_load_fails_no_request(store, exports):
    with EmbeddedServer(store, poll_s=0.05, rest_port=None) as server:
        ending = threading.Event()
        failures, answers = [], []

        def load():
            with Client(server.grpc_address, "m", retries=0) as client:
                while not ending.is_set():
                    try:
                        answers.append(float(client.predict(X)["y"][0]))
                    except ClientError as error:
                        failures.append(error)

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        with Client(server.grpc_address, "m") as client:

            def serving(version):
                return {v["version"]: v["state"] for v in client.status()}.get(version) == "AVAILABLE"

            for expected, move in (
                (2, lambda: store.push("m", exports[1], {})),
                (3, lambda: store.push("m", exports[2], {})),
                (2, lambda: store.rollback("m")),
                (1, lambda: store.pin("m", 1)),
                (3, lambda: store.pin("m", 3)),
            ):
                move()
                eventually(lambda expected=expected: serving(expected))
                eventually(lambda: sum(v["state"] == "AVAILABLE" for v in client.status()) == 1)
                time.sleep(0.1)
        ending.set()
        for thread in threads:
            thread.join()
    assert not failures
    assert set(answers) == {1.0, 2.0, 3.0} and len(answers) > 100


def test_version_that_cannot_be_loaded_leaves_the_old_one_serving(store, exports):
    with EmbeddedServer(store, poll_s=0.05, rest_port=None) as server, Client(server.grpc_address, "m") as client:
        (exports[1] / "saved_model.pb").write_bytes(b"not a graph")
        assert store.push("m", exports[1], {}) == 2
        eventually(lambda: client.status()[0]["state"] == "END")
        newest, oldest = client.status()
        assert newest["version"] == 2 and newest["error_code"] == grpc.StatusCode.DATA_LOSS.value[0]
        assert "cannot be read" in newest["error_message"]
        assert oldest == {"version": 1, "state": "AVAILABLE", "error_code": 0, "error_message": ""}
        assert client.predict(X)["y"] == [1.0]
        store.push("m", exports[2], {})
        eventually(lambda: client.predict(X)["y"] == [3.0])


def test_version_whose_files_changed_after_the_push_is_not_loaded(store, exports):
    store.push("m", exports[1], {})
    extra = store.version_path("m", 2) / "assets" / "smuggled"
    extra.write_text("")
    with EmbeddedServer(store, rest_port=None) as server, Client(server.grpc_address, "m") as client:
        assert "smuggled: not in the manifest" in client.status()[0]["error_message"]
        assert client.predict(X)["y"] == [1.0], "at the start the newest loadable version stands in"


def test_version_without_its_manifest_is_not_loaded(store, exports):
    store.push("m", exports[1], {})
    (store.version_path("m", 2) / "graft_manifest.json").unlink()
    with EmbeddedServer(store, rest_port=None) as server, Client(server.grpc_address, "m") as client:
        assert "graft_manifest.json: No such file" in client.status()[0]["error_message"]
        assert client.predict(X)["y"] == [1.0]


def test_start_with_a_broken_newest_version_falls_back_loudly(store, exports, caplog):
    store.push("m", exports[1], {})
    damage(store.version_path("m", 2))
    with EmbeddedServer(store, rest_port=None, verify=False) as server, Client(server.grpc_address, "m") as client:
        assert client.predict(X)["y"] == [1.0]
        assert client.status()[0]["error_code"] == grpc.StatusCode.DATA_LOSS.value[0]
    assert "falling back to version 1" in caplog.text


def test_start_fails_if_nothing_can_be_loaded(store, tmp_path):
    damage(store.version_path("m", 1))
    with pytest.raises(
        ServerError, match=r"1 servable\(s\) did not become available: .*name: m version: 1.* due to error"
    ):
        EmbeddedServer(store, rest_port=None).start()
    with pytest.raises(ServerError, match="Could not find SavedModel"):
        (tmp_path / "base" / "5").mkdir(parents=True)
        EmbeddedServer(models={"n": tmp_path / "base"}, rest_port=None).start()
    with pytest.raises(ServerError, match="nothing to serve"):
        EmbeddedServer()


def test_one_model_that_cannot_be_loaded_stops_no_other(store, exports, caplog):
    for name in ("broken", "lost", "odd"):
        store.push(name, exports[1], {})
    damage(store.version_path("broken", 1))
    damage(store.version_path("lost", 1))
    (store.path / "lost" / "CURRENT").unlink()
    (store.path / "odd" / "CURRENT").write_text("[" * 100_000)
    with EmbeddedServer(store, rest_port=None) as server:
        for name, expected in (("m", 1.0), ("odd", 2.0)):
            with Client(server.grpc_address, name) as client:
                assert client.predict(X)["y"] == [expected]
        for name in ("broken", "lost"):
            with Client(server.grpc_address, name, retries=0) as client:
                (version,) = client.status()
                assert version["state"] == "END" and "is not whole" in version["error_message"]
                with pytest.raises(ClientError, match="NOT_FOUND"):
                    client.predict(X)
    (message,) = [record.message for record in caplog.records if "did not become available" in record.message]
    assert message.startswith("2 servable(s)") and "name: broken version: 1" in message and "name: lost" in message


def test_a_model_given_by_name_must_load(store, exports):
    damage(exports[1])
    with pytest.raises(ServerError, match=r"1 servable\(s\) did not become available: .*name: n version: 1"):
        EmbeddedServer(store, {"n": exports[1]}, rest_port=None).start()


def test_both_transports_refuse_new_calls_while_either_drains(models, held):
    server = EmbeddedServer(models={"m": models["half_plus_two"]})
    server.start()
    address = f"{server.rest_address}/v1/models/m"
    with Client(server.grpc_address, "m", retries=0, deadline_s=60) as client, ThreadPoolExecutor(3) as threads:
        under_way = [threads.submit(client.predict, X), threads.submit(post, f"{address}:predict")]
        eventually(lambda: server._pool._calls == 2)
        stopping = threads.submit(server.stop, 60)
        with Client(server.grpc_address, "m", retries=0, deadline_s=0.5) as late:
            eventually(lambda: refusal(late) == "UNAVAILABLE", timeout_s=5)
        eventually(lambda: refuses(address), timeout_s=5)
        assert not stopping.done() and not any(call.done() for call in under_way)
        held.set()
        assert under_way[0].result()["y"] == [1.0]
        assert under_way[1].result() == {"outputs": [1.0]}
        assert stopping.result() is True


def refuses(address: str) -> bool:
    """Whether REST takes no new request."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError as error:
        assert re.search(r"503|refused|reset|closed", str(error)), error
        return True
    return False


def post(address: str) -> dict:
    with urllib.request.urlopen(address, b'{"inputs": [1.0]}', timeout=60) as response:
        return json.load(response)


def refusal(client: Client) -> str:
    try:
        client.status()
    except ClientError as error:
        return error.code.name
    return "none"


def test_broken_pointer_does_not_take_the_model_away(store, exports, caplog):
    with EmbeddedServer(store, poll_s=0.05, rest_port=None) as server, Client(server.grpc_address, "m") as client:
        (store.path / "m" / "CURRENT").write_text("{")
        eventually(lambda: "not a pointer" in caplog.text)
        assert client.predict(X)["y"] == [1.0]
        shutil.move(store.path, f"{store.path}.away")
        time.sleep(0.2)
        assert client.predict(X)["y"] == [1.0]
        shutil.move(f"{store.path}.away", store.path)
        store.push("m", exports[1], {})
        eventually(lambda: client.predict(X)["y"] == [2.0])


def test_a_server_waits_for_the_first_version(tmp_path, exports):
    store = open_store(tmp_path / "empty")
    store.path.mkdir()
    server = EmbeddedServer(store, poll_s=0.05, rest_port=None)
    starting = threading.Thread(target=server.start)
    starting.start()
    time.sleep(0.2)
    assert starting.is_alive()
    with pytest.raises(ServerError, match="has not been started"):
        _ = server.grpc_address
    store.push("m", exports[0], {})
    starting.join(30)
    with Client(server.grpc_address, "m") as client:
        assert client.predict(X)["y"] == [1.0]
    server.stop()
    with pytest.raises(ServerError, match=r"within 0\.1 s"):
        EmbeddedServer(open_store(tmp_path), poll_s=0.05, rest_port=None).start(wait_s=0.1)


def test_base_path_follows_the_newest_number(tmp_path, linear):
    base = tmp_path / "base"
    linear(base / "00000007", 0.5, 1.0)
    (base / "junk").mkdir()
    served = EmbeddedServer(models={"m": base}, poll_s=0.05, rest_port=None)
    with served as server, Client(server.grpc_address, "m") as client:
        assert client.status()[0]["version"] == 7
        linear(tmp_path / "ready", 0.5, 2.0).rename(base / "8")
        eventually(lambda: client.predict(X)["y"] == [3.0])
        shutil.rmtree(base / "8")
        eventually(lambda: client.predict(X)["y"] == [2.0])


def test_ports(models, caplog):
    served = {"m": models["half_plus_two"]}
    with EmbeddedServer(models=served, rest_port=None) as first:
        port = int(first.grpc_address.rpartition(":")[2])
        with pytest.raises(ServerError, match=f"gRPC port {port} on 127.0.0.1 cannot be opened"):
            EmbeddedServer(models=served, port=port, rest_port=None).start()
        with pytest.raises(ServerError, match=f"REST port {port} on 127.0.0.1 cannot be opened"):
            EmbeddedServer(models=served, rest_port=port).start()
        with pytest.raises(ServerError, match="REST is off"):
            _ = first.rest_address
    with EmbeddedServer(models=served, port=port, rest_port=port) as same:
        assert "REST is not served" in caplog.text
        assert same.grpc_address.endswith(str(port)) and not same.serves_rest


def test_freezing_is_switchable(models):
    for freeze in (True, False):
        with EmbeddedServer(models={"m": models["half_plus_two"]}, freeze=freeze, rest_port=None) as server:
            with server.registry.use("m") as version:
                assert bool(version.engine.frozen) is freeze
            with Client(server.grpc_address, "m") as client:
                assert client.predict(X)["y"] == [3.0]


def start_process(store: ModelStore, *arguments: str) -> tuple[subprocess.Popen, str]:
    program = (
        "import logging, sys; from graft.serving.launch import serve; logging.basicConfig(level=logging.INFO); "
        "sys.exit(serve(sys.argv[1], 0, None, embedded=True, drain_s=float(sys.argv[2]), "
        "on_ready=lambda grpc, rest: print(grpc, flush=True)))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(store.path), *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


@pytest.mark.slow
def test_sigterm_drains_and_a_second_signal_ends_at_once(tmp_path, models):
    store = open_store(tmp_path / "store")
    store.push("zoo", models["zoo"], {})
    process, address = start_process(store, "30")
    try:
        with Client(address, "zoo", retries=0) as client:
            steps = np.int32(20_000)
            client.predict({"n": steps}, "slow")
            start = time.monotonic()
            client.predict({"n": steps}, "slow")
            steps = np.int32(20_000 * 2 / (time.monotonic() - start))
            done = []
            caller = threading.Thread(target=lambda: done.append(client.predict({"n": steps}, "slow")))
            caller.start()
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            caller.join()
            assert done, "the call under way was finished"
        assert process.wait(20) == 0
    finally:
        process.kill()
    process, address = start_process(store, "30")
    try:
        with Client(address, "zoo", retries=0, deadline_s=60) as client:
            endless = threading.Thread(target=endless_call, args=(client,))
            endless.start()
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 1
            endless.join()
    finally:
        process.kill()


def endless_call(client: Client) -> None:
    with pytest.raises(ClientError):
        client.predict({"n": np.int32(2_000_000_000)}, "slow")


@pytest.mark.slow
def test_a_call_that_outlives_the_drain_does_not_hold_the_process(tmp_path, models):
    store = open_store(tmp_path / "store")
    store.push("zoo", models["zoo"], {})
    process, address = start_process(store, "0.5")
    try:
        with Client(address, "zoo", retries=0, deadline_s=60) as client:
            endless = threading.Thread(target=endless_call, args=(client,))
            endless.start()
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 1
            endless.join()
    finally:
        process.kill()


def test_stop_says_not_serving_and_lets_calls_end(models):
    server = EmbeddedServer(models={"zoo": models["zoo"]}, rest_port=None)
    server.start()
    with Client(server.grpc_address, "zoo", retries=0) as client, grpc.insecure_channel(server.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        server.interrupt()
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert client.predict({"n": np.int32(1)}, "slow")["state"] > 0, "still answers until balancers have noticed"
        server.stop(5)
        with pytest.raises(ClientError, match="UNAVAILABLE"):
            client.predict({"n": np.int32(1)}, "slow")


def test_an_ipv6_address(store):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    with EmbeddedServer(store, host="::1") as server, Client(server.grpc_address, "m") as client:
        assert server.grpc_address.startswith("[::1]:") and server.rest_address.startswith("http://[::1]:")
        assert client.predict(X)["y"] == [1.0]
        with urllib.request.urlopen(f"{server.rest_address}/v1/models/m") as response:
            assert json.load(response)["model_version_status"][0]["state"] == "AVAILABLE"
