"""TFRecord framing by hand, to claim what is not so: checksums fit whatever length is claimed."""

import struct

import google_crc32c


def framed(record: bytes, length: int | None = None) -> bytes:
    """A record as it stands in a file; `length` is claimed in place of its own."""
    return header(len(record) if length is None else length) + record + _masked(record)


def header(length: int) -> bytes:
    """What stands before a record of `length` bytes."""
    claimed = struct.pack("<Q", length)
    return claimed + _masked(claimed)


def _masked(data: bytes) -> bytes:
    check = google_crc32c.value(data)
    return struct.pack("<I", ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF)
