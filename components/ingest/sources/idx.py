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
from typing import BinaryIO, Literal

from pydantic import Field, field_validator

from graft.components.ingest.options import FolderOptions, Section, split_name
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, Item, as_text
from graft.models.errors import GraftError
from graft.models.inputs.base import Refused
from graft.models.regular_file import open_regular
from graft.models.text import located

_UNSIGNED_BYTE = 8
_LABELS_AT_ONCE = 65536

_FEWEST_IMAGES, _IMAGE_BYTES = 4096, 4
"""A file may have so many images, and one more for so many bytes; a gzip that unpacks to more repeats itself."""


class IdxPair(Section):
    """One pair of IDX files, as MNIST and Fashion-MNIST are published, plain or gzipped."""

    images: str = Field(description="The images file, relative to `path`.")
    labels: str = Field(description="The labels file, relative to `path`.")
    split: str | None = Field(
        default=None, description="Puts the whole pair into one split; null splits it by content."
    )

    @field_validator("split")
    @classmethod
    def _known_split(cls, value: str | None) -> str | None:
        return None if value is None else split_name(value)


class Options(FolderOptions):
    """IDX files as MNIST and its relatives are published; `target.class_names` names their labels."""

    source: Literal["idx"] = Field("idx", description="Pairs of IDX files.")
    pairs: tuple[IdxPair, ...] = Field(min_length=1, description="Pairs of image and label files.")

    @property
    def splits_from(self) -> str:
        """A key of each pair."""
        return "name all three splits by data.pairs[].split"


@dataclasses.dataclass(frozen=True)
class IdxChunk(Chunk):
    """One pair: a gzipped file can only be read from its start."""

    folder: str
    pair: IdxPair
    request: Request
    prefix: str

    def read(self) -> Iterator[Item]:
        labels = read_labels(self.folder, self.pair)
        images = read_images(self.folder, self.pair, self.request)
        abouts = _abouts(self.pair, self.request)
        for number, (label, image) in enumerate(zip(labels, images, strict=True)):
            yield Item(f"{self.prefix}{as_text(self.pair.images)}#{number}", abouts[label], image)


class Source(base.Source):
    """A folder with the pairs that `data.pairs` names; `target.class_names` names the labels."""

    def files(self) -> Iterator[str]:
        for pair in self.options.pairs:
            yield str(pathlib.Path(self.path, pair.images))
            yield str(pathlib.Path(self.path, pair.labels))

    def entries(self) -> Iterator[About]:
        for pair in self.options.pairs:
            abouts = _abouts(pair, self.request)
            for label in read_labels(self.path, pair):
                yield abouts[label]

    def chunks(self) -> Iterator[Chunk]:
        for pair in self.options.pairs:
            yield IdxChunk(self.path, pair, self.request, self.prefix)


def _abouts(pair: IdxPair, request: Request) -> list[About]:
    """What is said of an example, by its label, a byte."""
    return [base.named(label, pair.split, request) for label in range(256)]


def read_labels(folder: str, pair: IdxPair) -> Iterator[int]:
    """The labels of a pair, in order."""
    with _Idx(folder, pair.labels) as file:
        if len(file.shape) != 1:
            raise file.error(f"has dimensions {file.shape}; labels have one")
        for start in range(0, file.shape[0], _LABELS_AT_ONCE):
            yield from file.read(min(_LABELS_AT_ONCE, file.shape[0] - start))


def read_images(folder: str, pair: IdxPair, request: Request) -> Iterator[bytes]:
    """The images of a pair, in order, as contents of the input.

    Args:
      folder: Where the files are.
      pair: Their names.
      request: Its input packs arrays.

    Raises:
      GraftError: A file is damaged, there are not as many labels as images, or the input takes no such arrays, which is
        told before any is read.
    """
    with _Idx(folder, pair.labels) as file:
        labels = file.shape[0]
    with _Idx(folder, pair.images) as file:
        count, *shape = file.shape
        try:
            pack = request.input.packer(shape)
        except Refused as refused:
            raise file.error(refused.detail) from refused
        if count != labels:
            raise file.error(f"holds {count} images, but {pair.labels} holds {labels} labels")
        if count > _FEWEST_IMAGES + file.size // _IMAGE_BYTES:
            raise file.error(f"announces {count} images, which {file.size} bytes cannot hold")
        for _ in range(count):
            yield pack(file.read(math.prod(shape)))


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
        return GraftError(f"data.path {located(str(self._path))}: {what}")
