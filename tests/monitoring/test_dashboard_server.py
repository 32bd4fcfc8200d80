"""`graft dashboard` by HTTP: who is answered, what is refused, how it starts and ends."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading

import pytest
from dashboard_places import FIRST, make_places
from run_folders import write_run

from graft.monitoring.dashboard import command
from graft.monitoring.dashboard.places import Places
from graft.monitoring.dashboard.server import Server
from graft.pipeline.cli import main


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server("127.0.0.1", 0, make_places(tmp_path_factory.mktemp("places"))) as opened:
        threading.Thread(target=opened.serve_forever, args=(0.02,), daemon=True).start()
        yield opened
        opened.shutdown()


def ask(server, path="/", method="GET", headers=None) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def raw(server, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        connection.sendall(text)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_head_says_what_get_gives(server):
    for path in ("/", "/style.css", f"/runs/flowers/{FIRST}", "/nowhere"):
        got, content = ask(server, path)
        told, nothing = ask(server, path, "HEAD")
        assert (told.status, nothing) == (got.status, b"")
        assert int(got.headers["Content-Length"]) == len(content) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "NONSENSE"])
def test_other_methods_are_refused(server, method):
    answer, _ = ask(server, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/nowhere", "/style.css"])
def test_every_answer_forbids_scripts_and_other_hosts(server, path):
    headers = ask(server, path)[0].headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["style-src"] == "'self'" and "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]:80", "192.0.2.7"])
def test_own_names_are_answered(server, host):
    assert ask(server, headers={"Host": host})[0].status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1", "a@localhost.example", "0x7f.1"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_not(server, host):
    answer, content = ask(server, headers={"Host": host})
    assert answer.status == 421 and b"flowers" not in content


def test_no_host_or_two_are_not_answered(server):
    assert raw(server, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 421 ")
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert raw(server, two).startswith(b"HTTP/1.0 421 ")
    assert raw(server, two.replace(b"Host: evil.example\r\n", b"")).startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize("line", [b"nonsense", b"GET  / HTTP/9.9", b"GET / HTTP/1.1 more", b"GET /" + b"a" * 70000])
def test_what_is_no_request_is_refused_in_a_line(server, line):
    answer = raw(server, line + b"\r\n\r\n")
    assert answer.splitlines()[0].split()[1] in (b"400", b"414", b"505") and b"Traceback" not in answer


def test_a_page_that_cannot_be_made_is_logged_and_the_server_goes_on(server, monkeypatch, caplog):
    def broken(target: str) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(server.pages, "page", broken)
    answer, content = ask(server)
    assert answer.status == 500 and b"secret" not in content and "secret" in caplog.text
    monkeypatch.undo()
    assert ask(server)[0].status == 200


def test_addresses_without_a_port_between(tmp_path):
    with Server("::1", 0, Places(tmp_path)) as opened:
        assert opened.address == f"http://[::1]:{opened.server_port}/"


@pytest.mark.slow
def test_it_serves_until_it_is_asked_to_end(tmp_path):
    write_run(tmp_path, "flowers", FIRST)
    run = [sys.executable, "-m", "graft.pipeline.cli", "dashboard", "--root", tmp_path, "--port", "0", "--json"]
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                address = json.loads(process.stdout.readline())["dashboard"]
                port = int(address.rstrip("/").rpartition(":")[2])
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", "/runs/flowers")
                assert FIRST.encode() in connection.getresponse().read()
            finally:
                process.send_signal(number)
            assert (process.wait(30), process.stderr.read()) == (0, "")


def test_what_cannot_be_served_is_told_in_a_line(tmp_path, server, capsys):
    root = str(tmp_path)
    for options, told in (
        (["--root", root, "--port", str(server.server_port)], "Address already in use"),
        (["--root", root, "--port", "99999"], "--port 99999 on 127.0.0.1 cannot be opened"),
        (["--root", f"{root}/none"], f"{root}/none: no such folder; it must be the folder of the runs"),
        (["--root", root, "--store", f"{root}/none"], "no such folder; it must be the folder of a model store"),
        (["--root", root, "--log", f"{root}/none"], "no such folder; it must be the folder of the request log"),
        ([f"{root}/none.yaml"], "none.yaml"),
        ([f"{root}/none.yaml", "--root", root], "--root: given beside"),
    ):
        assert main(["dashboard", *options]) == 2
        error = capsys.readouterr().err
        assert told in error and len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("box", False)]
)
def test_addresses_of_this_machine_alone(host, loopback):
    assert command.is_loopback(host) is loopback


def test_whoever_opens_it_to_others_is_warned(tmp_path, monkeypatch, caplog, capsys):
    class Ended:
        def wait(self) -> None:
            pass

    import contextlib

    monkeypatch.setattr(command, "asked_to_end", lambda: contextlib.nullcontext(Ended()))
    for host, lines in (("0.0.0.0", 1), ("127.0.0.1", 0)):
        caplog.clear()
        assert main(["dashboard", "--root", str(tmp_path), "--port", "0", "--host", host]) == 0
        assert len(caplog.records) == lines
        assert "ready: http://" in capsys.readouterr().out


def test_a_configuration_names_all_places(tmp_path):
    import argparse

    path = tmp_path / "flowers.yaml"
    path.write_text(
        "name: flowers\ndata: {source: image_folder, path: photos}\nbackbone: {handle: b}\nroot: /r\nstore: /s\n"
        "monitoring: {request_log: {folder: /l}, drift: {folder: /d}}\n"
    )
    given = argparse.Namespace(config=str(path), root=None, store=None, log=None)
    found = command._asked(given)
    assert (str(found.root), found.stores, str(found.log)) == ("/r", ("/s",), "/l")
    assert {name: str(folder) for name, folder in found.drift.items()} == {"flowers": "/d"}
