"""Clients that connect and do not go on: the others are answered, and nothing is held for ever."""

import concurrent.futures
import contextlib
import json
import socket
import time

import pytest
from server_process import SHORT, settle

pytestmark = pytest.mark.slow

BODY = b'{"inputs": [2.0]}'
PREDICT = "POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\n"
WHOLE = f"{PREDICT}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
STATUS = b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\n\r\n"
# Far above what a check waits for a limit, far below what would make a hang look like an answer.
PATIENCE_S = 60.0


def connect(server) -> socket.socket:
    return socket.create_connection(server.rest, timeout=PATIENCE_S)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


def predict(server) -> tuple[int, dict]:
    with connect(server) as connection:
        connection.sendall(WHOLE.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        head, _, body = answer(connection).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


HALVES = {
    "nothing": (b"", b""),
    "half a line": (b"POST /v1/mod", b"the headers of the request did not come within 2 s"),
    "half the headers": (PREDICT.encode(), b"the headers of the request did not come within 2 s"),
    "no body": (f"{PREDICT}Content-Length: 100\r\n\r\n".encode(), b"nothing of the request body came for 2 s"),
    "half a body": (
        f"{PREDICT}Content-Length: 100\r\n\r\n".encode() + BODY,
        b"nothing of the request body came for 2 s",
    ),
    "half a chunk": (f"{PREDICT}Transfer-Encoding: chunked\r\n\r\n5\r\n".encode(), b"nothing of the request body came"),
    "half an extension": (
        f"{PREDICT}Transfer-Encoding: chunked\r\n\r\n5;{'a' * 9000}".encode(),
        b"nothing of the request body came",
    ),
    "100-continue": (
        f"{PREDICT}Content-Length: 9\r\nExpect: 100-continue\r\n\r\n".encode(),
        b"nothing of the request body came",
    ),
    "half of a body nobody waits for": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + BODY,
        b"Not Found",
    ),
    "idle after an answer": (STATUS, b"AVAILABLE"),
}


def test_a_client_that_stops_is_let_go(attacked):
    before = attacked.usage().files
    connections = {name: connect(attacked) for name in HALVES}
    try:
        for name, connection in connections.items():
            connection.sendall(HALVES[name][0])
        for name, connection in connections.items():
            received = answer(connection)
            assert HALVES[name][1] in received, name
        settle(attacked, before)
    finally:
        for connection in connections.values():
            connection.close()


def test_a_client_that_drips_is_let_go(attacked):
    drips = {
        connect(attacked): b"GET / HTTP/1.1\r\nA: ",
        connect(attacked): f"{PREDICT}Content-Length: 100000\r\n\r\n".encode(),
    }
    received = dict.fromkeys(drips, b"")
    try:
        for connection, head in drips.items():
            connection.sendall(head)
            connection.settimeout(0.1)
        end = time.monotonic() + PATIENCE_S
        while not all(b"did not come within" in content for content in received.values()):
            assert time.monotonic() < end, received
            for connection in drips:
                with contextlib.suppress(TimeoutError, ConnectionError):
                    connection.sendall(b"a")
                    received[connection] += connection.recv(1 << 16)
    finally:
        for connection in drips:
            connection.close()


def test_a_client_that_does_not_take_its_answers_is_let_go(attacked):
    """Large answers, whole requests: how much the two systems hold for a reader that sleeps differs by megabytes."""
    before = attacked.usage().files
    body = json.dumps({"inputs": [2.0] * 200_000}).encode()
    request = f"{PREDICT}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with connect(attacked) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        connection.setblocking(False)
        unsent = memoryview(request)
        end = time.monotonic() + PATIENCE_S
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            while True:
                assert time.monotonic() < end
                try:
                    unsent = unsent[connection.send(unsent) :] or memoryview(request)
                except BlockingIOError:
                    time.sleep(0.02)
    settle(attacked, before)


def test_many_slow_clients_do_not_shut_out_the_others(attacked):
    before = attacked.usage()
    attackers = [connect(attacked) for _ in range(400)]
    try:
        for number, connection in enumerate(attackers):
            connection.setblocking(False)
            with contextlib.suppress(OSError):  # it may have had to give way already
                connection.send((b"", b"GET /v1/", f"{PREDICT}Content-Length: 100\r\n\r\n".encode())[number % 3])
        assert [predict(attacked) for _ in range(10)] == [(200, {"outputs": [3.0]})] * 10
        assert attacked.usage().files < before.files + SHORT["connections"] + 20
        settle(attacked, before.files)
    finally:
        for connection in attackers:
            connection.close()


def test_whoever_is_at_work_is_not_closed_for_a_newcomer(attacked):
    """Idle connections give way in the order of their age; requests that are being answered do not."""
    with connect(attacked) as kept:
        kept.sendall(STATUS)
        received = b""
        while b"AVAILABLE" not in received:
            received += kept.recv(1 << 16)
        idle = [connect(attacked) for _ in range(SHORT["connections"])]
        try:
            with concurrent.futures.ThreadPoolExecutor(20) as callers:
                answers = list(callers.map(lambda _: predict(attacked), range(100)))
            assert answers == [(200, {"outputs": [3.0]})] * 100
            assert answer(kept) in (b"", b"\n}\n", b"}"), "the oldest idle one gave way"
        finally:
            for connection in idle:
                connection.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 400),
        (STATUS[:-2] + b"A: b\r\n" * 200 + b"\r\n", 431),
        (STATUS[:-2] + b"A: " + b"b" * 100_000, 400),
        (f"{PREDICT}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), 400),
        (f"{PREDICT}Transfer-Encoding: chunked\r\n\r\n1;{'a' * 100_000}".encode(), 400),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (f"{PREDICT}Content-Length: 99999999999999999\r\n\r\n".encode(), 413),
        (f"{PREDICT}Content-Length: -1\r\n\r\n".encode(), 400),
        (b"POST /v1/models/m:predict HTTP/1.0\r\nContent-Length: 17\r\n\r\n" + BODY, 200),
        (b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200),
    ],
)
def test_odd_http(attacked, sent, status):
    with connect(attacked) as connection:
        connection.sendall(sent)
        received = connection.recv(1 << 16)
    expected = {400: b" 400 ", 431: b" 431 ", 413: b" 413 ", 200: b" 200 "}[status]
    assert expected in received.partition(b"\r\n")[0] + b" ", received
    assert "Traceback" not in attacked.log.read_text()
    assert predict(attacked)[0] == 200


def test_pipelined_requests_are_all_answered(attacked):
    with connect(attacked) as connection:
        connection.sendall(WHOLE * 50)
        received = b""
        while received.count(b'{"outputs": [3.0]}') < 50:
            chunk = connection.recv(1 << 16)
            assert chunk, received
            received += chunk


def test_the_log_does_not_grow_with_what_is_sent(attacked):
    before = attacked.log.stat().st_size
    for _ in range(300):
        with connect(attacked) as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            assert b"400" in connection.recv(1 << 16)
    assert attacked.log.stat().st_size - before < 5000


def test_at_the_limit_of_open_files_callers_are_answered_and_the_log_stays_small(attacked):
    before, logged = attacked.usage().files, attacked.log.stat().st_size
    most = attacked.allow_files(before + 20)
    attackers = []
    try:
        for _ in range(200):
            attackers.append(connect(attacked))
            attackers[-1].setblocking(False)
        assert [predict(attacked) for _ in range(5)] == [(200, {"outputs": [3.0]})] * 5
        assert "open files are the limit" in attacked.log.read_text()
        assert attacked.log.stat().st_size - logged < 10_000
    finally:
        attacked.allow_files(most)
        for connection in attackers:
            connection.close()
    settle(attacked, before)
