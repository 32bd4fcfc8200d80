"""Writes that are whole or not there, and reads that neither wait nor fill the memory."""

import errno
import os

import pytest

from graft.models import durable
from graft.models.errors import GraftError


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_write_that_fails_leaves_the_old_file_and_names_the_target(tmp_path, monkeypatch):
    target = tmp_path / "file"
    durable.write_atomic(target, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as raised:
        durable.write_atomic(target, b"new")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(target))
    assert target.read_bytes() == b"old" and names(tmp_path) == ["file"]


def test_a_folder_that_is_not_there_names_the_target(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        durable.write_atomic(tmp_path / "absent" / "file", b"")
    assert raised.value.filename == str(tmp_path / "absent" / "file")


def test_staged_content_is_not_there_unless_asked_for(tmp_path):
    with durable.staged(tmp_path / "file", b"x"):
        assert not (tmp_path / "file").exists()
    assert names(tmp_path) == []
    with durable.staged(tmp_path / "file", b"x") as replace:
        replace()
    assert (tmp_path / "file").read_bytes() == b"x"


def test_read_small_takes_plain_files_within_the_limit(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert durable.read_small(file, 5) == b"12345"
    with pytest.raises(OSError, match="larger than the 4 bytes"):
        durable.read_small(file, 4)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(OSError):
            durable.read_small(tmp_path / name, 5)
    with pytest.raises(FileNotFoundError):
        durable.read_small(tmp_path / "absent", 5)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    for partial in (None, tmp_path / "file.partial"):
        with pytest.raises(OSError, match="disk full"), durable.replacing(path, partial) as fresh:
            fresh.write_text("half")
            raise OSError("disk full")
        assert [found.name for found in tmp_path.iterdir()] == ["file"] and path.read_text() == "old"
    for sync in (True, False):
        with durable.replacing(path, sync=sync) as fresh:
            fresh.write_text(f"new {sync}")
        assert [found.name for found in tmp_path.iterdir()] == ["file"] and path.read_text() == f"new {sync}"


def test_a_folder_is_filled_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "folder"
    with pytest.raises(OSError, match="disk full"), durable.filling(folder) as fresh:
        (fresh / "half").touch()
        raise OSError("disk full")
    assert names(tmp_path) == []
    (tmp_path / "folder.partial" / "of a dead process").mkdir(parents=True)
    for number in (1, 2):  # in the place of what is there, too
        with durable.filling(folder) as fresh:
            assert names(tmp_path) == ["folder.partial"] and fresh.stat().st_mode & 0o777 == 0o700
            (fresh / f"file-{number}").touch()
        assert names(tmp_path) == ["folder"] and names(folder) == [f"file-{number}"]
    durable.unfill(folder)
    durable.unfill(folder)  # nothing is there
    assert names(tmp_path) == []


def test_who_waits_for_a_lock_sees_its_file_and_may_give_up(tmp_path):
    class GivesUp(Exception):
        pass

    def give_up(file):
        raise GivesUp(file.read())

    with durable.locked(tmp_path / "lock") as file:
        file.write("process 7")
        file.flush()
        with pytest.raises(GivesUp, match="process 7"), durable.locked(tmp_path / "lock", give_up):
            pass
    with durable.locked(tmp_path / "lock", give_up) as file:
        assert file.read() == "process 7"


def test_a_lock_that_cannot_be_opened_is_one_line(tmp_path):
    message = r"absent/lock: the lock file cannot be opened \(No such file or directory\); its folder must be writable"
    with pytest.raises(GraftError, match=message), durable.locked(tmp_path / "absent" / "lock"):
        pass
