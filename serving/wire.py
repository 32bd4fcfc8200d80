"""Protocol Buffers on the wire, as far as `serving.wire_messages` needs them; takes NumPy alone.

A client without the package `protobuf` stands beside any version of it: TensorFlow, Beam and others want versions that
exclude one another. The encoding is that of https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator

import numpy as np

VARINT, I64, LEN, I32 = 0, 1, 2, 5
"""Wire types. Groups, 3 and 4, are in no message that is read here."""

_MOST_VARINT_BYTES = 10
_MASK = 0xFFFF_FFFF_FFFF_FFFF


class WireError(ValueError):
    """Bytes that are no such message."""


def varint(value: int) -> bytes:
    """A whole number, 7 bits a byte, the lowest first; one below 0 as the 64 bits of its two's complement."""
    value &= _MASK
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def number(field: int, value: int) -> bytes:
    """A field with a whole number; 0 is the default, which is not written."""
    return varint(field << 3 | VARINT) + varint(value) if value else b""


def block(field: int, content: bytes | str) -> bytes:
    """A field with bytes, a text or a message, also an empty one."""
    content = content.encode() if isinstance(content, str) else content
    return b"".join((varint(field << 3 | LEN), varint(len(content)), content))


def fields(message: memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
    """Field number, wire type, value of a varint, content of any other, one after the other as they stand.

    Raises:
        WireError: the bytes end within a field, or are none.
    """
    place, nothing = 0, message[:0]
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if not 0 < tag >> 3 < 1 << 29:
            raise WireError(f"byte {place}: a field has the number {tag >> 3}")
        if kind == VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, kind, value, nothing
            continue
        if kind == LEN:
            size, place = _varint(message, place)
        elif kind in (I32, I64):
            size = 4 if kind == I32 else 8
        else:
            raise WireError(f"byte {place}: a field has the wire type {kind}")
        if size > len(message) - place:
            raise WireError(f"byte {place}: {size} bytes should follow, {len(message) - place} do")
        yield tag >> 3, kind, 0, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number that begins at a place, without its sign, and where it ends."""
    value = 0
    for at, byte in enumerate(message[place : place + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return value & _MASK, place + at + 1
    raise WireError(f"byte {place}: a number that does not end")


def signed(value: int) -> int:
    """An int64."""
    return value - (1 << 64) if value >> 63 else value


def text(content: memoryview) -> str:
    """A string. Raises WireError where it is not UTF-8."""
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"a text that is not UTF-8: {error.reason}") from None


def varints(packed: memoryview) -> np.ndarray:
    """Numbers without sign that stand one behind the other, uint64 [n]."""
    raw = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if raw.size and (not ends.size or ends[-1] != raw.size - 1):
        raise WireError("a number that does not end")
    starts = np.concatenate([np.zeros(1, ends.dtype), ends[:-1] + 1])[: ends.size]
    lengths = ends - starts + 1
    found = np.zeros(ends.size, np.uint64)
    most = int(lengths.max(initial=0))
    if most > _MOST_VARINT_BYTES:
        raise WireError("a number that does not end")
    for at in range(most):
        long = np.flatnonzero(lengths > at)
        found[long] |= (raw[starts[long] + at] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * at)
    return found


def fixed(content: memoryview, dtype: type) -> np.ndarray:
    """Numbers of 4 or 8 bytes that stand one behind the other, [n].

    Raises:
        WireError: the bytes are no whole number of them.
    """
    size = np.dtype(dtype).itemsize
    if len(content) % size:
        raise WireError(f"{len(content)} bytes are no numbers of {size} bytes each")
    return np.frombuffer(content, np.dtype(dtype).newbyteorder("<"))
