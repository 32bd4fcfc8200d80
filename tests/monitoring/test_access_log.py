"""A line a request; a full disk, a moved file and a slow reader cost lines, which are counted, and no request."""

import errno
import json
import os
import pathlib
import threading
import urllib.error
import urllib.request

import grpc
import pytest
from small_models import save_linear
from waiting import until

from graft.models.errors import GraftError
from graft.monitoring import access_log
from graft.monitoring.access_log import AccessLog
from graft.serving.exchange import PREDICT, Exchange
from graft.serving.server import EmbeddedServer


def exchange(request_id: str = "id", **more) -> Exchange:
    made = Exchange("grpc", request_id, PREDICT, code=grpc.StatusCode.OK, reached=True, **more)
    made.ended = made.begun + 0.25
    return made


def lines(*paths: pathlib.Path) -> list[dict]:
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_each_request_of_a_server_has_its_line(tmp_path):
    save_linear(tmp_path / "m" / "1", 0.5, 2.0)
    path = tmp_path / "access.jsonl"
    with EmbeddedServer(models={"m": tmp_path / "m"}, observers=[AccessLog(str(path))]) as server:

        def ask(path: str, body: bytes | None = None, **headers: str) -> None:
            request = urllib.request.Request(f"{server.rest_address}{path}", body, headers)
            try:
                urllib.request.urlopen(request, timeout=30).read()
            except urllib.error.HTTPError as error:
                error.read()

        ask("/v1/models/m:predict", b'{"inputs": [1.0]}', **{"X-Request-Id": "one"})
        ask("/v1/models/nobody:predict", b"{}", **{"X-Request-Id": "two"})
        ask("/v1/models/m", **{"X-Request-Id": "three"})
    one, two, three = lines(path)
    assert (one["request_id"], one["transport"], one["method"], one["code"]) == ("one", "rest", "predict", "OK")
    assert (one["model"], one["version"], one["received_bytes"], one["http_status"]) == ("m", 1, 17, 200)
    assert one["sent_bytes"] > 0 and one["milliseconds"] >= one["queue_milliseconds"] >= 0 and one["time"][-1] == "Z"
    assert (two["model"], two["code"], three["method"], three["model"]) == (None, "NOT_FOUND", "status", None)


def test_a_line_names_refusal_and_trace():
    refused = Exchange(
        "rest", "id", PREDICT, "00-" + "a" * 32 + "-" + "b" * 16 + "-01", code=grpc.StatusCode.UNAVAILABLE
    )
    refused.refuse("no_room")
    found = access_log.record(refused)
    assert (found["refusal"], found["trace_id"]) == ("no_room", "a" * 32) and "queue_milliseconds" not in found
    assert "trace_id" not in access_log.record(exchange(traceparent='x"\n'))
    assert access_log.record(exchange())["milliseconds"] == 250


def test_a_file_is_rotated_by_its_size_and_the_oldest_go(tmp_path):
    path = tmp_path / "access.jsonl"
    log = AccessLog(str(path), max_bytes=400, keep=2)
    for number in range(5):
        log._write(b'{"n": %d, "pad": "%s"}\n' % (number, b"x" * 250), 1)
    log.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["access.jsonl", "access.jsonl.1", "access.jsonl.2"]
    kept = lines(path.with_name("access.jsonl.2"), path.with_name("access.jsonl.1"), path)
    assert [one["n"] for one in kept] == [2, 3, 4]


@pytest.mark.parametrize("tell", [True, False])
def test_a_file_that_was_moved_is_opened_anew(tmp_path, tell):
    path, moved = tmp_path / "access.jsonl", tmp_path / "moved"
    log = AccessLog(str(path))
    log.ended(exchange("before"))
    log._wake.set()
    until(path.read_text)
    path.rename(moved)
    if tell:
        log.reopen()  # as SIGHUP does
    log.ended(exchange("after"))
    log.close()
    assert [one["request_id"] for one in lines(moved)] == ["before"]
    assert [one["request_id"] for one in lines(path)] == ["after"]


def test_a_full_disk_costs_lines_which_are_counted_and_none_is_torn(tmp_path, monkeypatch):
    path = tmp_path / "access.jsonl"
    log = AccessLog(str(path))
    log._write(b'{"n": 1}\n', 1)
    real, room = os.write, [5]

    def write(descriptor: int, content) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, content[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(access_log.os, "write", write)
    log._write(b'{"n": 2}\n', 3)
    log._write(b'{"n": 3}\n', 2)  # within the pause
    assert 'graft_access_log_dropped_total{reason="disk"} 5\n' in log.text()
    assert "graft_access_log_failing 1\n" in log.text() and "graft_access_log_lines_total 1\n" in log.text()
    room[0], log._retry_at = 1000, 0.0
    log._write(b'{"n": 4}\n', 1)
    log.close()
    assert [one["n"] for one in lines(path)] == [1, 4] and "graft_access_log_failing 0\n" in log.text()


def test_who_reads_slowly_holds_up_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(access_log, "MOST_LINES", 10)
    log = AccessLog(str(tmp_path / "access.jsonl"))
    stuck, entered = threading.Event(), threading.Event()
    monkeypatch.setattr(log, "_append", lambda content: (entered.set(), stuck.wait(30)))
    log.ended(exchange())
    log._wake.set()
    assert entered.wait(30)
    for _ in range(12):
        log.ended(exchange())
    assert 'graft_access_log_dropped_total{reason="queue_full"} 2\n' in log.text()
    log.close(wait_s=0.01)
    assert 'graft_access_log_dropped_total{reason="closed"} 10\n' in log.text()
    stuck.set()
    log._thread.join(30)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo, lambda path: None])
def test_what_is_no_file_is_refused_at_once(tmp_path, make):
    path = tmp_path / "there"
    make(path)
    place = path if path.exists() else path / "access.jsonl"
    with pytest.raises(GraftError, match=r"--access-log: .*it must be a file that can be written"):
        AccessLog(str(place))


def test_the_standard_output_takes_lines_too(capfd):
    log = AccessLog("-")
    assert not log.reopens
    log.ended(exchange("out"))
    log.close()
    assert json.loads(capfd.readouterr().out)["request_id"] == "out"
