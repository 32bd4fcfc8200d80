"""Pairs of IDX files (images and labels), as MNIST and its relatives are published, plain or gzipped.

The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, then each dimension as a big-endian
32-bit integer, then the data (Y. LeCun, C. Cortes, C. Burges: The MNIST database).
"""

import dataclasses
import gzip
import math
import os
import pathlib
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from graft.components.ingest.options import DataOptions, IdxPair
from graft.components.ingest.sources.base import Chunk, Entry, Item, Source, as_text
from graft.components.ingest.sources.columns import label_text
from graft.models.errors import GraftError
from graft.models.regular_file import open_regular

_UNSIGNED_BYTE = 8
_STORED_BLOCK = 65535
_LABELS_AT_ONCE = 65536

_FEWEST_IMAGES, _IMAGE_BYTES = 4096, 4
"""A file may have so many images, and one more for so many bytes; a gzip that unpacks to more repeats itself."""


@dataclasses.dataclass(frozen=True)
class IdxChunk(Chunk):
    """One pair: a gzipped file can only be read from its start."""

    folder: str
    pair: IdxPair
    options: DataOptions
    prefix: str

    def read(self) -> Iterator[Item]:
        labels = read_labels(self.folder, self.pair)
        images = read_images(self.folder, self.pair, self.options.max_pixels)
        for number, (label, image) in enumerate(zip(labels, images, strict=True)):
            name = f"{self.prefix}{as_text(self.pair.images)}#{number}"
            yield Item(name, label_text(label, self.options.class_names), self.pair.split, image)


class Idx(Source):
    """A folder with the pairs that `data.pairs` names; `data.class_names` names the labels."""

    def files(self) -> Iterator[str]:
        for pair in self.options.pairs:
            yield str(pathlib.Path(self.path, pair.images))
            yield str(pathlib.Path(self.path, pair.labels))

    def entries(self) -> Iterator[Entry]:
        for pair in self.options.pairs:
            for label in read_labels(self.path, pair):
                yield Entry(label_text(label, self.options.class_names), pair.split)

    def chunks(self) -> Iterator[Chunk]:
        for pair in self.options.pairs:
            yield IdxChunk(self.path, pair, self.options, self.prefix)


def read_labels(folder: str, pair: IdxPair) -> Iterator[int]:
    """The labels of a pair, in order."""
    with _Idx(folder, pair.labels) as file:
        if len(file.shape) != 1:
            raise file.error(f"has dimensions {file.shape}; labels have one")
        for start in range(0, file.shape[0], _LABELS_AT_ONCE):
            yield from file.read(min(_LABELS_AT_ONCE, file.shape[0] - start))


def read_images(folder: str, pair: IdxPair, max_pixels: int) -> Iterator[bytes]:
    """The images of a pair, in order, as PNG.

    Args:
      folder: Where the files are.
      pair: Their names.
      max_pixels: Most pixels that an image may have; a header that announces more is an error before any is read.

    Raises:
      GraftError: A file is damaged, there are not as many labels as images, or the images are empty or too large.
    """
    with _Idx(folder, pair.labels) as file:
        labels = file.shape[0]
    with _Idx(folder, pair.images) as file:
        if len(file.shape) not in (3, 4) or file.shape[3:] not in ((), (1,), (3,)):
            raise file.error(f"has dimensions {file.shape}; images have (n, height, width) or (n, height, width, 3)")
        count, height, width, *channels = file.shape
        if count != labels:
            raise file.error(f"holds {count} images, but {pair.labels} holds {labels} labels")
        if not 0 < height * width <= max_pixels:
            raise file.error(f"has images of {width} x {height} pixels; 1 to {max_pixels} in all (data.max_pixels) fit")
        if count > _FEWEST_IMAGES + file.size // _IMAGE_BYTES:
            raise file.error(f"announces {count} images, which {file.size} bytes cannot hold")
        depth = channels[0] if channels else 1
        for _ in range(count):
            yield encode_png(file.read(height * width * depth), width, height, depth)


class _Idx:
    """An open IDX file."""

    def __init__(self, folder: str, name: str):
        self._path = pathlib.Path(folder, name)
        self._file: BinaryIO | gzip.GzipFile
        self.shape: tuple[int, ...] = ()
        self.size = 0

    def __enter__(self) -> "_Idx":
        try:
            self._file = file = open_regular(self._path)
        except OSError as error:
            raise self.error(f"{error.strerror}") from error
        if file.read(2) == b"\x1f\x8b":
            self._file = gzip.GzipFile(fileobj=file)
        file.seek(0)
        self.size = os.fstat(file.fileno()).st_size
        zero, kind, dimensions = struct.unpack(">HBB", self.read(4))
        if zero or kind != _UNSIGNED_BYTE or not dimensions:
            raise self.error("is no IDX file of unsigned bytes")
        self.shape = struct.unpack(f">{dimensions}I", self.read(4 * dimensions))
        if not isinstance(self._file, gzip.GzipFile):  # how much a gzipped file holds only reading tells
            announced = math.prod(self.shape)
            there = self.size - self._file.tell()
            if there < announced:
                raise self.error(f"ends too early: {announced} bytes were to follow, {there} do")
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise self.error(f"is damaged: {error}") from error
        if len(data) != size:
            raise self.error(f"ends too early: {size} bytes were to follow, {len(data)} do")
        return data

    def error(self, what: str) -> GraftError:
        return GraftError(f"data.path {as_text(str(self._path))}: {what}")


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
