"""What a source is: it lists cheap references in chunks, and workers read the chunks."""

import abc
import dataclasses
import importlib
import os
from collections.abc import Iterator

from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources import REGISTRY

MIN_CHUNK = 64
MAX_CHUNK = 1000
_CHUNKS_WANTED = 16


@dataclasses.dataclass(slots=True)
class Item:
    """One image as the source gives it, not yet checked.

    Attributes:
      file: Name shown to people: path relative to the source, or container and row (`train.tfrecord#12`).
      label: Class name; empty when the source has none.
      split: The split the source names (as written there), or None to split by content.
      encoded: The encoded image; without meaning when there is a reason.
      digest: sha256 of the bytes as the source gave them, where `encoded` no longer is these; None: of `encoded`.
      slices: Extra columns as text.
      reason: Why the image could not be read; None when it was.
      detail: More about `reason`.
      group: Value of the column `data.group`, empty where the image stands for itself; None where no column is named.
    """

    file: str
    label: str
    split: str | None = None
    encoded: bytes = b""
    digest: bytes | None = None
    slices: dict[str, str] = dataclasses.field(default_factory=dict)
    reason: Reason | None = None
    detail: str = ""
    group: str | None = None


class Chunk(abc.ABC):
    """A picklable piece of a source, read by one worker."""

    @property
    def size(self) -> int:
        """Number of images, for the progress line; 0 where only reading tells."""
        return 0

    @abc.abstractmethod
    def read(self) -> Iterator[Item]:
        """Reads the images one after the other; a file that cannot be read is an item with a reason.

        Raises:
          GraftError: The container itself (CSV, TFRecord, Parquet) is damaged.
        """


@dataclasses.dataclass(frozen=True)
class Entry:
    """What can be told of an image without reading it, for the quick check."""

    label: str
    split: str | None = None


class Source(abc.ABC):
    """Lists what there is to read under one path."""

    def __init__(self, options: DataOptions, path: str, prefix: str = ""):
        self.options = options
        self.path = path
        self.prefix = prefix

    @abc.abstractmethod
    def files(self) -> Iterator[str]:
        """Paths of all files that the source reads, for the fingerprint; in any order."""

    @abc.abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Label and split of each image, read without its pixels."""

    @abc.abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """The chunks, in an order that depends on the data only.

        Raises:
          GraftError: The path is missing, empty or not of this kind.
        """


def load(options: DataOptions, path: str, prefix: str = "") -> Source:
    """The source that `options.source` names, reading `path`.

    Args:
      options: The data options.
      path: What to read: `options.path`, or one of its spans.
      prefix: Goes before the name of each file, to tell spans apart.
    """
    module, name = REGISTRY[options.source].split(":")
    return getattr(importlib.import_module(module), name)(options, path, prefix)


def chunk_size(count: int) -> int:
    """Images a chunk when there are `count`: enough chunks to share out, few enough for Beam's cost per element."""
    return min(MAX_CHUNK, max(MIN_CHUNK, -(-count // _CHUNKS_WANTED)))


def as_text(name: str) -> str:
    """A file name as valid Unicode: bytes that are not UTF-8 become backslash escapes."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")
