"""Chunks of image files, shared by the sources whose images are files of their own."""
# ruff: noqa: PTH118
# os.path, for names that are many: a Path costs as much as reading a small file.

import dataclasses
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from components.ingest.header import Refused
from components.ingest.reasons import Reason
from components.ingest.sources.base import Chunk, Item, as_text


class FileRef(NamedTuple):  # not a dataclass: those pickle ten times slower, and there is one for each image
    """One image file: its path relative to the chunk's root, and what the source says of it."""

    path: str
    label: str
    split: str | None = None
    slices: dict[str, str] | None = None
    group: str | None = None


@dataclasses.dataclass(frozen=True)
class FileChunk(Chunk):
    """References to files below one root."""

    root: str
    refs: tuple[FileRef, ...]
    max_bytes: int
    prefix: str = ""

    @property
    def size(self) -> int:
        return len(self.refs)

    def read(self) -> Iterator[Item]:
        for ref in self.refs:
            item = Item(self.prefix + as_text(ref.path), ref.label, ref.split, slices=ref.slices or {}, group=ref.group)
            try:
                item.encoded = read_file(os.path.join(self.root, ref.path), self.max_bytes)
            except Refused as refused:
                item.reason, item.detail = refused.reason, refused.detail
            yield item


def read_file(path: str, max_bytes: int) -> bytes:
    """Reads a regular file of at most `max_bytes` bytes.

    Raises:
      Refused: It is missing, may not be read, is no regular file, or is larger.
    """
    try:
        descriptor, status = _open(path)
    except OSError as error:
        raise Refused(Reason.UNREADABLE, _reason(error)) from error
    try:
        if status.st_size > max_bytes:
            raise Refused(Reason.TOO_LARGE, f"{status.st_size} bytes, at most {max_bytes} are read")
        return os.read(descriptor, status.st_size)
    except OSError as error:
        raise Refused(Reason.UNREADABLE, _reason(error)) from error
    finally:
        os.close(descriptor)


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file; waits for nobody, as `open` does at a FIFO.

    Raises:
      OSError: It is missing, may not be read or is no regular file; `strerror` says which.
    """
    return os.fdopen(_open(path)[0], "rb")


def _open(path: str | os.PathLike) -> tuple[int, os.stat_result]:
    try:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the name, or what no file system can spell
        raise OSError(errno.EINVAL, str(error)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"is {_kind(status.st_mode)}, not a regular file")
    return descriptor, status


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "symbolic links go round in a circle"
    return error.strerror or str(error)


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return f"of mode {mode:o}"
