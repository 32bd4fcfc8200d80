"""Encoded images for tests."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def image_file(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    """A file of these pixels, uint8 [height, width, 3] or what else Pillow takes."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(seed: int, kind: str = "PNG", size: tuple[int, int] = (8, 6)) -> bytes:
    """Random pixels, `size` is (width, height); the same seed gives the same bytes."""
    return image_file(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8), kind)


def one_colour(colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> bytes:
    """A PNG of one colour."""
    return image_file(Image.new("RGB", size, colour))


def png_by_hand(
    width: int, height: int, depth: int, colour_type: int, rows: bytes, *chunks: tuple[bytes, bytes], level: int = -1
) -> bytes:
    """A PNG as it is told, right or wrong, for what Pillow does not write.

    Args:
        width, height, depth, colour_type: what its header says.
        rows: its content, with a filter's byte before each row.
        chunks: kind and content of what stands between.
        level: of compression.
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    parts = [header, *chunks, (b"IDAT", zlib.compress(rows, level)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
