"""How many connections there may be, and which gives way; the limits as a client meets them are in tests/attack."""

import contextlib
import http.client
import pathlib
import resource
import urllib.parse

import pytest

from graft.serving import connections
from graft.serving.connections import connections_allowed, open_files
from graft.serving.limits import Limits
from graft.serving.server import EmbeddedServer


@pytest.mark.parametrize(("files", "expected"), [(1000, 300), (10, 8), (10**6, 5000), (resource.RLIM_INFINITY, 5000)])
def test_connections_are_fewer_where_few_files_may_be_opened(monkeypatch, caplog, files, expected):
    monkeypatch.setattr(connections, "open_files", lambda: 272)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connections_allowed(5000) == expected
    assert (f"this process may open {files} files: at most {expected} connections" in caplog.text) == (expected < 5000)


def test_open_files_are_counted():
    before = open_files()
    with pathlib.Path("/dev/null").open():
        assert open_files() == before + 1


def test_the_oldest_idle_connection_gives_way(models):
    limits = Limits(connections=3)
    with (
        EmbeddedServer(models={"m": models["half_plus_two"]}, limits=limits) as server,
        contextlib.ExitStack() as stack,
    ):
        address = urllib.parse.urlsplit(server.rest_address)

        def connect() -> http.client.HTTPConnection:
            made = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
            stack.callback(made.close)
            ask(made)
            return made

        first, second, third = connect(), connect(), connect()
        ask(first)  # the second is now the one that has been idle for longest
        connect()
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            ask(second)
        ask(first)
        ask(third)


def ask(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/v1/models/m")
    response = connection.getresponse()
    assert response.status == 200 and b"AVAILABLE" in response.read()
