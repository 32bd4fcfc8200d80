"""Chunks of files, shared by the sources whose examples are files of their own."""
# ruff: noqa: PTH118
# os.path, for names that are many: a Path costs as much as reading a small file.

import dataclasses
import errno
import os
from collections.abc import Iterator
from typing import NamedTuple

from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import About, Chunk, Item, as_text, chunk_size
from graft.models.inputs.base import Refused
from graft.models.regular_file import open_descriptor


class FileRef(NamedTuple):
    """One file: its path relative to the chunk's root, and what the source says of it."""

    path: str
    about: About


@dataclasses.dataclass(frozen=True)
class FileChunk(Chunk):
    """References to files below one root; what many share is pickled once."""

    root: str
    paths: tuple[str, ...]
    abouts: tuple[About, ...]
    max_bytes: int
    prefix: str = ""

    @property
    def size(self) -> int:
        return len(self.paths)

    def read(self) -> Iterator[Item]:
        for path, about in zip(self.paths, self.abouts, strict=True):
            item = Item(self.prefix + as_text(path), about)
            try:
                item.content = read_file(os.path.join(self.root, path), self.max_bytes)
            except Refused as refused:
                item.reason, item.detail = Reason(refused.reason), refused.detail
            yield item


def file_chunks(root: str, refs: list[FileRef], max_bytes: int, prefix: str) -> Iterator[FileChunk]:
    """The files in chunks, in order."""
    size = chunk_size(len(refs))
    for start in range(0, len(refs), size):
        paths, abouts = zip(*refs[start : start + size], strict=True)
        yield FileChunk(root, paths, abouts, max_bytes, prefix)


def read_file(path: str, max_bytes: int) -> bytes:
    """Reads a regular file of at most `max_bytes` bytes.

    Raises:
      Refused: It is missing, may not be read, is no regular file, or is larger.
    """
    try:
        descriptor, status = open_descriptor(path)
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


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "symbolic links go round in a circle"
    return error.strerror or str(error)
