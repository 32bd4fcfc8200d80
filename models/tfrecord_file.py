"""Records of a TFRecord file, plain or gzipped: every length is checked before memory is taken for it.

TensorFlow's own reader believes the length: 16 bytes that claim 2^60 with the right checksum end the process.

The format: length (8 bytes, little-endian), its masked CRC-32C (4), the record, its masked CRC-32C (4)
(https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

import dataclasses
import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from graft.models.regular_file import open_regular

_HEADER, _FOOTER = 12, 4
_GZIP = b"\x1f\x8b"

FRAME = _HEADER + _FOOTER
"""Bytes that a record takes beside itself."""

_SKIPPED_AT_ONCE = 2**20

_FEWEST_RECORDS, _RECORD_BYTES = 4096, 16
"""A gzip may have so many records, and one more for so many bytes: what has more repeats itself without end."""


@dataclasses.dataclass(frozen=True, slots=True)
class TooLong:
    """A record that is passed over.

    Attributes:
      length: What its header announces, bytes.
    """

    length: int


class DamagedError(Exception):
    """The file is no TFRecord, or no whole one; the message says how."""


def read_records(path: str | os.PathLike, most: int) -> Iterator[bytes | TooLong]:
    """Reads the records one after the other.

    Args:
      path: A regular file.
      most: Longest record that is read, bytes. Memory holds one of them, however small the file is compressed.

    Raises:
      OSError: It cannot be opened or read.
      DamagedError: It is cut or corrupted; what stands before that was given.
    """
    with open_regular(path) as file:
        start = file.read(_HEADER)
        # A plain file begins with the length of its first record, which may have the two bytes of a gzip.
        packed = start.startswith(_GZIP) and not _is_header(start)
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        if not packed:
            yield from _records(file, most, size)
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            try:
                for number, record in enumerate(_records(unpacked, most, None)):
                    if number >= _FEWEST_RECORDS + size // _RECORD_BYTES:
                        raise DamagedError(f"there are more than {number}, which {size} bytes cannot hold")
                    yield record
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise DamagedError(f"truncated or corrupted gzip: {error}") from error


def record_at(path: str | os.PathLike, offset: int, most: int) -> bytes | TooLong:
    """The record that begins at `offset` bytes of a plain file.

    Raises:
      OSError: It cannot be opened or read.
      DamagedError: None begins there, or it is cut or corrupted.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        for record in _records(file, most, size, offset):
            return record
    raise DamagedError(f"no record at {offset}: the file has {size} bytes")


def framed(record: bytes) -> bytes:
    """A record as it stands in the file, `FRAME` bytes longer."""
    length = len(record).to_bytes(8, "little")
    return b"".join((length, _masked(length).to_bytes(4, "little"), record, _masked(record).to_bytes(4, "little")))


def _records(
    file: BinaryIO | gzip.GzipFile, most: int, size: int | None, position: int = 0
) -> Iterator[bytes | TooLong]:
    """`size` is that of the whole file, or None where only unpacking tells; `position` is where reading begins."""
    while header := file.read(_HEADER):
        if len(header) < _HEADER:
            raise DamagedError(f"truncated record at {position}: {len(header)} bytes of its header")
        length = int.from_bytes(header[:8], "little")
        if not _is_header(header):
            raise DamagedError(f"corrupted record at {position}: the checksum of its length is wrong")
        position += _HEADER
        if size is not None and length + _FOOTER > size - position:
            raise DamagedError(f"truncated record at {position}: {length} bytes were to follow, {size - position} do")
        if length > most:
            _skip(file, length + _FOOTER, position)
            yield TooLong(length)
        else:
            body = file.read(length + _FOOTER)
            if len(body) < length + _FOOTER:
                raise DamagedError(f"truncated record at {position}: {length} bytes were to follow, {len(body)} do")
            record = body[:-_FOOTER]
            if _masked(record) != int.from_bytes(body[-_FOOTER:], "little"):
                raise DamagedError(f"corrupted record at {position}: its checksum is wrong")
            yield record
        position += length + _FOOTER


def _is_header(start: bytes) -> bool:
    """Whether a record begins so: the checksum of its length is right."""
    return len(start) == _HEADER and _masked(start[:8]) == struct.unpack("<I", start[8:])[0]


def _skip(file: BinaryIO | gzip.GzipFile, count: int, position: int) -> None:
    left = count
    while left:
        passed = len(file.read(min(left, _SKIPPED_AT_ONCE)))
        if not passed:
            raise DamagedError(f"truncated record at {position}: {count} bytes were to follow, {count - left} do")
        left -= passed


def _masked(data: bytes) -> int:
    check = google_crc32c.value(data)
    return ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF
