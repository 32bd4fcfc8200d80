"""What a failure is called: the system's errors, also where libraries wrap them or leave only their text."""

import errno
import pathlib

import pytest

from graft.components.gates import GateClosed
from graft.models import memory
from graft.models.errors import GraftError
from graft.pipeline import failures


def wrapped(inner: BaseException, outer: type[Exception] = RuntimeError, text: str = "in a library") -> Exception:
    """`outer`, raised from `inner`."""
    try:
        try:
            raise inner
        except BaseException as error:
            raise outer(text) from error
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), failures.DISK),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), failures.DISK),
        (OSError(errno.EFBIG, "File too large"), failures.DISK),
        (wrapped(OSError(errno.ENOSPC, "No space left on device")), failures.DISK),
        (RuntimeError("ResourceExhaustedError: /a/b; No space left on device [Op:SaveV2]"), failures.DISK),
        (RuntimeError("sqlite: database or disk is full"), failures.DISK),
        (wrapped(OSError(errno.ENOSPC, "No space left on device"), GraftError), failures.DISK),
        (MemoryError(), failures.MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), failures.MEMORY),
        (RuntimeError("std::bad_alloc"), failures.MEMORY),
        (RuntimeError("OOM when allocating tensor with shape[64,3] on CPU"), failures.MEMORY),
        (wrapped(MemoryError("Unable to allocate 3.0 GiB for an array")), failures.MEMORY),
        (RuntimeError("can't start new thread"), failures.THREADS),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), failures.THREADS),
        (GraftError("a.csv: out of memory is the name of a column"), None),
        (KeyError("x"), None),
    ],
)
def test_what_ran_out(error, kind):
    assert failures.kind_of(error) == kind


def test_a_full_disk_names_the_path_and_the_free_bytes(tmp_path):
    free = failures.free_bytes(tmp_path)
    path = tmp_path / "gone" / "part.tfrecord"
    for error in (
        OSError(errno.ENOSPC, "No space left on device", str(path)),
        wrapped(OSError(errno.ENOSPC, "No space left on device", str(path))),
        RuntimeError(f"tf: {path}; No space left on device"),
        RuntimeError(f"Traceback\n  File '/usr/lib/a.py', line 1\n{path}: No space left on device\n"),
    ):
        line, code = failures.explain(error, "train")
        assert code == 2 and free > 0
        assert line.startswith(f"train: {path}: the disk or a quota is full (")
        assert line.endswith(" bytes are free); free some space and run the same command again")


def test_a_full_disk_that_no_error_names(tmp_path, monkeypatch):
    rooms = {tmp_path: 10, pathlib.Path("/temporary"): 5}
    monkeypatch.setattr(failures, "free_bytes", lambda path: rooms[path])
    monkeypatch.setattr(failures.tempfile, "gettempdir", lambda: "/temporary")
    line, _ = failures.explain(OSError(errno.ENOSPC, "No space left on device"), "ingest", tmp_path)
    assert line.startswith("ingest: /temporary: the disk or a quota is full (5 bytes are free)")


def test_the_error_of_a_store_says_for_itself_what_is_wrong(tmp_path):
    error = wrapped(OSError(errno.ENOSPC, "No space left", str(tmp_path)), GraftError, "the version before still is")
    line, code = failures.explain(error, "push", tmp_path)
    assert code == 2 and line.startswith("the version before still is (") and line.endswith(" bytes are free)")


def test_a_file_over_the_limit_of_the_process(tmp_path):
    line, _ = failures.explain(OSError(errno.EFBIG, "File too large", "/a"), "train", tmp_path)
    assert line == "train: /a: the file is larger than a file may be here (ulimit -f); raise the limit and run again"


def test_memory_says_what_is_there_and_what_to_lower(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: memory.Available(7 * 10**6, "the container"))
    line, code = failures.explain(MemoryError(), "train")
    assert code == 2
    assert line == (
        "train: memory ran out (7 MB available, bound by the container); "
        "lower train.batch_size or the sizes in section input"
    )
    assert failures.explain(MemoryError(), "schema")[0].endswith("bound by the container)")
    # A thread takes addresses for its stack: where there are none, more threads would not help.
    assert failures.explain(RuntimeError("can't start new thread"), "train")[0] == line


def test_threads_name_the_limit(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: memory.Available(10**10, "the container"))
    line, code = failures.explain(RuntimeError("can't start new thread"), "train")
    assert (line, code) == (f"train: {failures.EXHAUSTED[failures.THREADS]}", 2)


def test_an_error_that_beam_wrapped_keeps_its_words_only():
    inner = GraftError("a.png: no such file [while running 'ingest/read-ptransform-12']")
    assert failures.explain(wrapped(inner), "ingest") == ("a.png: no such file", 2)


def test_an_error_that_nobody_foresaw_is_one_line_of_bounded_length():
    line, code = failures.explain(ValueError("a\nb  " + "words " * 500), "train")
    assert code == 3 and line.startswith("train: ValueError: a b words") and len(line) < 600 and "\n" not in line


def test_a_closed_gate_and_other_errors_of_the_system():
    assert failures.explain(GateClosed("data_gate", []))[1] == 2
    assert failures.explain(PermissionError(13, "Permission denied", "/a")) == ("/a: Permission denied", 2)


def test_causes_that_go_in_a_circle():
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    assert list(failures.chain(one)) == [one, two]
