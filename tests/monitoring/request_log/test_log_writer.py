"""The writer waits for nobody and stops for nothing: a slow disk, a full one, a record that cannot be encoded."""

import os
import resource
import threading
import time

import numpy as np
import pytest
from log_samples import served, texts

from graft.models.errors import GraftError
from graft.monitoring.request_log import writer as writing
from graft.monitoring.request_log.log_file import LogFile
from graft.monitoring.request_log.observer import RequestLog, sampled
from graft.monitoring.request_log.options import Options
from graft.monitoring.request_log.reader import Reading, read


def ids(folder) -> list[str]:
    reading = Reading()
    found = [record.request_id for record in read(folder, reading)]
    assert not reading.faults
    return found


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def slow_disk(monkeypatch):
    """Holds every write until its event is set."""
    gate, reached = threading.Event(), threading.Event()
    real = LogFile.append

    def append(file, content):
        reached.set()
        assert gate.wait(60)
        real(file, content)

    monkeypatch.setattr(LogFile, "append", append)
    yield gate, reached
    gate.set()


def test_a_disk_that_hangs_costs_records_and_no_time(tmp_path, slow_disk):
    gate, reached = slow_disk
    log = RequestLog(Options(folder=str(tmp_path), queue_bytes=2**20))
    log.observe(served("first"))
    assert reached.wait(60)
    waits = []
    for number in range(1000):
        start = time.perf_counter()
        log.observe(served(f"r{number}", inputs={"text": texts(b"x" * 8192)}))
        waits.append(time.perf_counter() - start)
    dropped = log.counts["dropped.queue_full"]
    assert 800 < dropped < 1000 and log.counts.waiting == 1000 - dropped
    assert not log._writer.close(0.1), "nor does closing wait for ever"
    assert log.counts["dropped.closed"] == 1000 - dropped
    log.observe(served("late"))
    assert log.counts["dropped.closed"] == 1001 - dropped
    gate.set()
    until(lambda: not log._writer._thread.is_alive())
    assert ids(tmp_path) == ["first"]
    assert sorted(waits)[500] < 0.01, "of 60 s that the disk takes"


def test_a_full_disk_is_counted_and_left_again(tmp_path, monkeypatch, caplog):
    """A real refusal of the kernel: no file may become larger than 64 KiB."""
    monkeypatch.setattr(writing, "_FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(writing, "_LONGEST_RETRY_S", 0.05)
    monkeypatch.setattr(writing, "_PAUSE_S", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = RequestLog(Options(folder=str(tmp_path)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    try:
        taken = 0
        while not log.counts["dropped.disk"]:
            log.observe(served(f"r{taken}", inputs={"text": texts(b"x" * 4096)}))
            taken += 1
            until(lambda: not log.counts.waiting)
        until(lambda: log.counts.failing)
        assert "graft_request_log_failing 1\n" in log.counts.text()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    before = log.counts["records"]
    while log.counts["records"] == before:
        log.observe(served(f"r{taken}"))
        taken += 1
        time.sleep(0.02)
    until(lambda: not log.counts.waiting)
    log.close()
    assert "graft_request_log_failing 0\n" in log.counts.text()
    assert log.counts["disk_errors"] >= 1 and "no requests are logged: File too large" in caplog.text
    assert len(ids(tmp_path)) == log.counts["records"] == taken - log.counts["dropped"], "each is written or counted"


def test_a_folder_that_vanishes_is_an_error_of_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_PAUSE_S", 0.01)
    folder = tmp_path / "log"
    log = RequestLog(Options(folder=str(folder)))
    folder.rmdir()
    log.observe(served())
    until(lambda: log.counts["dropped.disk"])
    log.close()
    assert log.counts["records"] == 0


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/below"])
def test_a_folder_that_cannot_be_is_told_at_once(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(GraftError, match=r"request_log\.folder: .*; it must be a folder that can be written to"):
        RequestLog(Options(folder=str(tmp_path / place)))


def test_files_rotate_by_size_and_by_age(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_PAUSE_S", 0.01)
    log = RequestLog(Options(folder=str(tmp_path / "size"), rotate_bytes=2**16, keep_bytes=2**18))
    for number in range(40):
        log.observe(served(f"r{number}", inputs={"text": texts(b"x" * 30_000)}))
        until(lambda: not log.counts.waiting)
    log.close()
    assert log.counts["files"] > 10 and log.counts["deleted_files"] > 3
    left = ids(tmp_path / "size")
    assert left == [f"r{number}" for number in range(40 - len(left), 40)], "the newest are kept"
    log = RequestLog(Options(folder=str(tmp_path / "age"), rotate_seconds=0.05))
    log.observe(served("a"))
    until(lambda: log.counts["files"] == 1)
    log.close()
    assert ids(tmp_path / "age") == ["a"]


def test_a_record_that_cannot_be_made_harms_no_other(tmp_path):
    with RequestLog(Options(folder=str(tmp_path), max_bytes=4096)) as log:
        log.observe(served("a", outputs={"y": texts(b"y" * 5000)}))
        log.observe(served("b", outputs={"y": np.array(["2020"], "datetime64")}))
        log.observe(served("c", inputs={"text": texts(b"x" * 5000)}))
        log.observe(served("d"))
    assert ids(tmp_path) == ["c", "d"]
    assert (log.counts["dropped.too_large"], log.counts["dropped.error"]) == (1, 1)
    assert (log.counts["shortened"], log.counts["records"]) == (1, 2)


def test_the_sample_is_by_id_and_unbiased(tmp_path):
    names = [f"request-{number}" for number in range(20_000)]
    held = {name for name in names if sampled(name, 0.1)}
    assert abs(len(held) - 2000) < 5 * 42.4, "five standard deviations"
    assert held == {name for name in names if sampled(name, 0.1)}
    assert held < {name for name in names if sampled(name, 0.2)}, "a larger sample holds the smaller one"
    assert all(sampled(name, 1.0) for name in names[:10])
    with RequestLog(Options(folder=str(tmp_path), sample=0.1)) as log:
        for name in names[:500]:
            log.observe(served(name))
    assert set(ids(tmp_path)) == held & set(names[:500])
    assert log.counts["unsampled"] == 500 - log.counts["records"]


def test_a_name_that_no_request_has_is_warned_of(tmp_path, caplog):
    with RequestLog(Options(folder=str(tmp_path), leave_out=["text", "txet"])) as log:
        log.observe(served())
    assert "names txet; no request had an input or output of that name" in caplog.text


def test_two_logs_may_share_a_folder(tmp_path):
    with RequestLog(Options(folder=str(tmp_path))) as one, RequestLog(Options(folder=str(tmp_path))) as other:
        for number in range(50):
            (one, other)[number % 2].observe(served(f"r{number}"))
    assert sorted(ids(tmp_path)) == sorted(f"r{number}" for number in range(50))
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]  # noqa: PTH208
