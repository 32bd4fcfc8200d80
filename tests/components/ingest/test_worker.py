"""Workers: results come through, and whatever ends a worker is an error of one request."""

import ctypes
import itertools
import os

import pytest

from graft.components.ingest import worker
from graft.components.ingest.sources import parquet_reader
from graft.models.errors import GraftError


def test_results_come_one_after_the_other():
    assert list(worker.stream(range, 3)) == [0, 1, 2]


def test_a_worker_is_another_process_and_is_used_again():
    def pid() -> str:
        return "".join(worker.stream(os.readlink, "/proc/self"))

    assert pid() == pid() != str(os.getpid())


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (os.abort, (), r"^its reader ended by signal SIGABRT"),
        (ctypes.string_at, (0,), r"^its reader ended by signal SIGSEGV"),
        (os._exit, (3,), r"^its reader ended with exit code 3"),
        (os._exit, (0,), r"^its reader ended with exit code 0"),
        (bytearray, (2**40,), r"^reading it takes more than 2048 MiB of memory$"),
    ],
)
def test_what_ends_a_worker_is_told_and_the_next_request_is_answered(function, arguments, message):
    with pytest.raises(worker.DiedError, match=message):
        list(worker.stream(function, *arguments))
    assert list(worker.stream(range, 2)) == [0, 1]


@pytest.mark.slow
def test_a_worker_that_goes_round_in_a_circle(monkeypatch):
    monkeypatch.setattr(worker, "CPU_SECONDS", 1)
    with pytest.raises(worker.DiedError, match="reading it takes more than 1 s of CPU time"):
        list(worker.stream(sum, itertools.repeat(0)))


def test_results_before_the_end_are_given():
    """The last of these takes more memory than there may be."""
    answers = worker.stream(map, bytearray, [1, 2, 2**40])
    assert [next(answers), next(answers)] == [bytearray(1), bytearray(2)]
    with pytest.raises(worker.DiedError):
        next(answers)


def test_who_leaves_early_leaves_nothing_behind():
    answers = worker.stream(itertools.repeat, bytes(10**6))
    assert next(answers) == bytes(10**6)
    answers.close()
    assert list(worker.stream(range, 2)) == [0, 1]


def test_errors_of_the_function(tmp_path):
    with pytest.raises(GraftError, match="absent: not Parquet: "):
        list(worker.stream(parquet_reader.open_file, str(tmp_path / "absent")))
    with pytest.raises(RuntimeError, match=r"in a worker:\n(.|\n)*invalid literal for int"):
        list(worker.stream(int, "x"))


def test_a_worker_that_ended_while_idle_is_replaced():
    assert list(worker.stream(range, 1)) == [0]
    idle = worker._idle.get_nowait()
    worker._idle.put(idle)
    idle._process.kill()
    idle._process.wait()
    assert list(worker.stream(range, 2)) == [0, 1]
