"""Pixels packed as a PNG, without a library."""

import struct
import zlib

_STORED_BLOCK = 65535


def encode_png(pixels: bytes, width: int, height: int, channels: int) -> bytes:
    """Packs pixels as a PNG without compression.

    Not by a library: its bytes, and with them the digest and the split, would change with the version of zlib.

    Args:
      pixels: uint8 `[height, width, channels]`, row by row.
      width: Pixels in a row.
      height: Rows.
      channels: 1 (grey) or 3 (RGB).
    """
    stride = width * channels
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, len(pixels), stride))
    blocks = [b"\x78\x01"]
    for start in range(0, len(rows), _STORED_BLOCK):
        part = rows[start : start + _STORED_BLOCK]
        blocks.append(struct.pack("<BHH", start + _STORED_BLOCK >= len(rows), len(part), len(part) ^ 0xFFFF) + part)
    blocks.append(struct.pack(">I", zlib.adler32(rows)))
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", b"".join(blocks)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
