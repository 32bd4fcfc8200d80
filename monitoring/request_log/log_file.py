"""Files of the log: one that is being written ends in `.part` and gets its name when it is whole.

Readers never see a half-written file, and a record stands in one file only, however its writer ended. The writer holds
a lock (flock) on its `.part`, which the kernel frees when it dies: then the next writer keeps the whole records.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import os
import pathlib
import re
import time
import uuid
from collections.abc import Iterator

from graft.models.durable import sync_folder
from graft.models.tfrecord_file import FRAME, DamagedError, TooLong, read_records

SUFFIX, PART = ".tfrecord", ".tfrecord.part"
MOST_BYTES = 2**26
"""Longest record that is read."""

_NAME = re.compile(r"requests-\d{8}T\d{6}\.\d{3}Z-[0-9a-f]{8}\.tfrecord(\.part)?")


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The whole files of a log in the order of their beginning. Raises OSError."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.suffix == SUFFIX)


def is_ours(name: str) -> bool:
    """Whether a log writes files of that name."""
    return _NAME.fullmatch(name) is not None


def begun(path: pathlib.Path) -> datetime.datetime:
    """When a file of a log was begun, as its name says."""
    return datetime.datetime.strptime(path.name.split("-")[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=datetime.UTC)


class LogFile:
    """A file that is being written.

    Attributes:
        path: what it is called meanwhile.
        size: bytes of whole records.
        begun: when, of the clock `time.monotonic`.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: pathlib.Path):
        while True:
            now = datetime.datetime.now(datetime.UTC)
            stamp = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z"
            self.path = folder / f"requests-{stamp}-{uuid.uuid4().hex[:8]}{PART}"
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            if _lock(self._descriptor) and _is_there(self._descriptor, self.path):
                break
            os.close(self._descriptor)  # another writer took it for one whose writer had died
        self.size, self.begun = 0, time.monotonic()

    def append(self, content: bytes) -> None:
        """Adds whole records.

        Raises:
            OSError: none of them is in the file now; `MalformedFile` if even that could not be brought about.
        """
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            try:
                os.ftruncate(self._descriptor, self.size)
                os.lseek(self._descriptor, self.size, os.SEEK_SET)
            except OSError as error:
                raise MalformedFile(error.errno, error.strerror, str(self.path)) from error
            raise
        self.size += len(content)

    def finish(self) -> pathlib.Path:
        """Gives the file its name once it is on disk. Raises OSError; then `recover` may finish it later."""
        path = self.path.with_suffix("")
        try:
            os.fsync(self._descriptor)
            self.path.rename(path)
            sync_folder(path.parent)
        finally:
            self.abandon()
        return path

    def abandon(self) -> None:
        """Leaves the file as it is, to `recover`."""
        os.close(self._descriptor)


class MalformedFile(OSError):
    """A part of a record stands at the end of a file and cannot be taken away."""


@dataclasses.dataclass(frozen=True)
class Recovered:
    """A file whose writer died.

    Attributes:
        path: what it is called now; None if no whole record was in it.
        records: whole records that were kept.
        torn: bytes behind them that were cut off.
    """

    path: pathlib.Path | None
    records: int
    torn: int


def recover(folder: pathlib.Path) -> Iterator[Recovered]:
    """Finishes the files in `folder` whose writers have died; those of living writers are left alone.

    A crash here does no harm: the file stays a `.part` until it has its name. Raises OSError.
    """
    for path in sorted(folder.glob(f"*{PART}")):
        if not _NAME.fullmatch(path.name):
            continue
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # its writer has just finished it
        try:
            if _lock(descriptor) and _is_there(descriptor, path):
                yield _finished(path, descriptor)
        finally:
            os.close(descriptor)


def _finished(path: pathlib.Path, descriptor: int) -> Recovered:
    records = whole = 0
    with contextlib.suppress(DamagedError):
        for record in read_records(path, MOST_BYTES):
            records += 1
            whole += (record.length if isinstance(record, TooLong) else len(record)) + FRAME
    torn = os.fstat(descriptor).st_size - whole
    if not records:
        path.unlink()
        return Recovered(None, 0, torn)
    os.ftruncate(descriptor, whole)
    os.fsync(descriptor)
    path.rename(path.with_suffix(""))
    sync_folder(path.parent)
    return Recovered(path.with_suffix(""), records, torn)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(descriptor: int, path: pathlib.Path) -> bool:
    """Whether the open file still has that name: another process may have renamed or deleted it before the lock."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
