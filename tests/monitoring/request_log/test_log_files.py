"""Files of the log: whole or not there, recovered once after a SIGKILL, read whatever lies beside, kept for a time."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import grpc
import pytest
from log_samples import __file__ as program
from log_samples import served, texts

from graft.models.errors import GraftError
from graft.models.tfrecord_file import FRAME, framed
from graft.monitoring.request_log import log_file, retention
from graft.monitoring.request_log.fields import Fields
from graft.monitoring.request_log.log_file import LogFile, recover
from graft.monitoring.request_log.observer import RequestLog
from graft.monitoring.request_log.options import Options
from graft.monitoring.request_log.reader import Reading, once, read, read_again
from graft.monitoring.request_log.record import encode
from graft.monitoring.request_log.retention import WallClock, expire

PLAIN = Fields(Options())


def record(request_id: str, **changes) -> bytes:
    return framed(encode(served(request_id, **changes), (), PLAIN, 1.0, 2**20)[0])


def finished(folder: pathlib.Path, *ids: str) -> pathlib.Path:
    file = LogFile(folder)
    file.append(b"".join(map(record, ids)))
    return file.finish()


def died(folder: pathlib.Path, content: bytes) -> pathlib.Path:
    """What a writer leaves that was killed."""
    file = LogFile(folder)
    file.append(content)
    file.abandon()
    return file.path


def ids(folder: pathlib.Path) -> tuple[list[str], Reading]:
    reading = Reading()
    return [found.request_id for found in read(folder, reading)], reading


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path):
    file = LogFile(tmp_path)
    file.append(record("a"))
    found, reading = ids(tmp_path)
    assert found == [] and reading.unfinished == 1 and not reading.faults
    assert file.finish().suffix == ".tfrecord"
    found, reading = ids(tmp_path)
    assert found == ["a"] and (reading.files, reading.unfinished) == (1, 0)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tfrecord"]


def test_what_a_dead_writer_left_is_finished_without_its_torn_end(tmp_path):
    whole = record("a") + record("b")
    died(tmp_path, whole + record("c")[:-5])
    died(tmp_path, record("d")[:7])
    living = LogFile(tmp_path)
    living.append(record("e"))
    first, second = sorted(recover(tmp_path), key=lambda one: -one.records)
    assert (first.records, first.torn, first.path.stat().st_size) == (2, len(record("c")) - 5, len(whole))
    assert (second.records, second.torn, second.path) == (0, 7, None)
    assert list(recover(tmp_path)) == []
    assert ids(tmp_path)[0] == ["a", "b"]
    living.finish()
    assert sorted(ids(tmp_path)[0]) == ["a", "b", "e"]


def test_a_flipped_bit_in_what_was_left_ends_it_there(tmp_path):
    content = bytearray(record("a") + record("b") + record("c"))
    content[len(record("a")) + 40] ^= 1
    died(tmp_path, bytes(content))
    (found,) = recover(tmp_path)
    assert (found.records, found.torn) == (1, len(record("b") + record("c")))


def test_names_that_are_not_the_logs_own_are_left_alone(tmp_path):
    for name in ("other.tfrecord.part", "requests-x.tfrecord.part", "other.tfrecord", "notes.txt"):
        (tmp_path / name).write_bytes(record("x")[:9])
    os.mkfifo(tmp_path / "pipe.tfrecord")
    path = finished(tmp_path, "a")
    assert list(recover(tmp_path)) == []
    found, reading = ids(tmp_path)
    assert found == ["a"] and reading.foreign_files == len(reading.faults) == 5
    assert expire(tmp_path, None, 0) == [path], "retention deletes its own files only"
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("length", [0x8B1F, 0x8B1F + 2**16])
def test_a_record_whose_length_begins_like_a_gzip_is_read(tmp_path, length):
    guess = length - 1000
    beside = len(record("a", inputs={"t": texts(bytes(guess))})) - FRAME - guess
    content = record("a", inputs={"t": texts(bytes(length - beside))})
    assert len(content) == length + FRAME and content.startswith(b"\x1f\x8b")
    file = LogFile(tmp_path)
    file.append(content)
    file.finish()
    assert ids(tmp_path)[0] == ["a"]


def test_damaged_and_foreign_files_are_counted_and_the_rest_is_read(tmp_path):
    first = finished(tmp_path, "a", "b")
    first.write_bytes(first.read_bytes()[:-3])
    time.sleep(0.002)
    second = finished(tmp_path, "c")
    with second.open("ab") as file:
        file.write(framed(b"\xff\xff") + record("d"))
    time.sleep(0.002)
    third = finished(tmp_path, "e")
    third.write_bytes(b"no records at all, but some text in their place")
    found, reading = ids(tmp_path)
    assert found == ["a", "c", "d"]
    assert (reading.files, reading.records, reading.damaged, reading.foreign_records) == (3, 3, 2, 1)
    assert [fault.split(":")[0] for fault in reading.faults] == [str(first), str(second), str(third)]


def test_a_record_is_found_again_until_its_file_is_gone(tmp_path):
    with RequestLog(Options(folder=str(tmp_path))) as log:
        for name in ("a", "longer", "c"):
            log.observe(served(name))
    records = list(read(tmp_path, Reading()))
    [path] = log_file.files(tmp_path)
    assert [read_again(path, record.offset).request_id for record in records] == ["a", "longer", "c"]
    assert read_again(path, records[1].offset + 1) is None and read_again(path, 10**9) is None
    path.unlink()
    assert read_again(path, 0) is None


def test_no_folder_is_one_line(tmp_path):
    with pytest.raises(GraftError, match="none: No such file or directory; it must be the folder of a request log"):
        ids(tmp_path / "none")


def test_each_request_is_given_once(tmp_path):
    finished(tmp_path, "a", "b", "a")
    file = LogFile(tmp_path)
    file.append(record("a", code=grpc.StatusCode.UNAVAILABLE, outputs={}) + record("b"))
    file.finish()
    reading = Reading()
    found = [(one.request_id, one.answered) for one in once(read(tmp_path, reading), reading)]
    assert sorted(found) == [("a", False), ("a", True), ("b", True)]
    assert (reading.records, reading.repeated) == (5, 2)


def test_retention_by_age_and_by_size(tmp_path):
    paths = []
    for name in "abcd":
        paths.append(finished(tmp_path, name))
        time.sleep(0.002)
    size = paths[0].stat().st_size
    os.utime(paths[0], (0, time.time() - 3 * 86_400))
    part = died(tmp_path, record("e"))
    os.utime(part, (0, 0))
    assert expire(tmp_path, None, None) == []
    assert expire(tmp_path, 2.0, 4 * size) == [paths[0]]
    assert expire(tmp_path, 2.0, 2 * size) == [paths[1]], "the oldest goes"
    assert part.exists() and ids(tmp_path)[0] == ["c", "d"]


def test_a_clock_that_jumps_is_not_believed_for_an_hour(monkeypatch, caplog):
    now = {"wall": 1e9, "steady": 100.0}
    monkeypatch.setattr(retention.time, "time", lambda: now["wall"])
    monkeypatch.setattr(retention.time, "monotonic", lambda: now["steady"])
    clock = WallClock()

    def after(steady: float, wall: float) -> bool:
        now["steady"] += steady
        now["wall"] += wall
        return clock.is_steady()

    assert after(60, 60) and after(60, 300), "a clock that is set by minutes is no jump"
    assert not caplog.records
    assert not after(60, 86_400 * 40) and not after(3000, 3000) and after(700, 700)
    assert not after(60, -86_400 * 40)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "the clock jumped by 3456180 s",
        "the clock jumped by -3456060 s",
    ]


@pytest.mark.slow
def test_a_killed_writer_loses_no_whole_record_and_nothing_counts_twice(tmp_path):
    """Twice: the second process also recovers what the first left."""
    said = []
    for _ in range(2):
        left = set(tmp_path.glob("*.part"))
        options = json.dumps({"folder": str(tmp_path), "rotate_bytes": 2**16})
        with subprocess.Popen([sys.executable, program, options], stdout=subprocess.PIPE, text=True) as process:
            while int(process.stdout.readline()) < 3000:
                pass
            deadline, begun = time.monotonic() + 60, set()
            while not (begun & set(log_file.files(tmp_path)) and list(tmp_path.glob("*.part"))):
                assert time.monotonic() < deadline, "it has finished a file of its own"
                begun |= {path.with_suffix("") for path in set(tmp_path.glob("*.part")) - left}
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            said.append(process.wait())
    assert said == [-signal.SIGKILL] * 2
    with RequestLog(Options(folder=str(tmp_path))):
        pass
    assert not list(tmp_path.glob("*.part"))
    found, reading = ids(tmp_path)
    assert not reading.faults
    numbers = [int(name[1:]) for name in found]
    second = numbers.index(0, 1)
    assert numbers == [*range(second), *range(len(numbers) - second)], "no gap, no repetition"
    assert min(second, len(numbers) - second) > 1000
    reading = Reading()
    assert len(list(once(read(tmp_path, reading), reading))) == max(second, len(numbers) - second)
