"""A TensorFlow Dataset that is prepared on disk. Nothing is downloaded, and its code is not needed."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import json_format

from components.ingest.options import DataOptions
from components.ingest.reasons import Reason
from components.ingest.sources.base import Chunk, Entry, Item, Source, as_text, chunk_size
from components.ingest.sources.columns import add_group, check_columns, extra_columns, label_text
from components.ingest.splits import parse_split
from models.errors import GraftError
from models.images import decode_error_reason


@dataclasses.dataclass(frozen=True)
class TfdsChunk(Chunk):
    """A range of one split."""

    folder: str
    split: str
    start: int
    stop: int
    options: DataOptions
    prefix: str

    @property
    def size(self) -> int:
        return self.stop - self.start

    def read(self) -> Iterator[Item]:
        builder = _open(self.folder)
        image = self.options.image_column
        names = _names(builder, self.options)
        rows = _rows(builder, self.folder, f"{self.split}[{self.start}:{self.stop}]", image)
        for number, row in enumerate(rows, self.start):
            plain = {name: _plain(value) for name, value in row.items()}
            item = Item(
                f"{self.prefix}{self.split}#{number}",
                label_text(row[self.options.columns.label], names),
                parse_split(self.split),
                slices=extra_columns(plain, self.options),
            )
            if isinstance(row[image], bytes):
                item.encoded = row[image]
            else:
                item.reason, item.detail = Reason.UNREADABLE, f"feature {image!r} is no encoded image"
            yield add_group(item, plain, self.options)


class Tfds(Source):
    """The newest version of `data.name` under `data.path`; its splits are kept (`validation` is eval)."""

    def files(self) -> Iterator[str]:
        for path in sorted(pathlib.Path(self._folder).iterdir()):
            yield str(path)

    def entries(self) -> Iterator[Entry]:
        builder = self._builder()
        label = self.options.columns.label
        names = _names(builder, self.options)
        for split in builder.info.splits:
            for row in _rows(builder, self._folder, split, self.options.image_column):
                yield Entry(label_text(row[label], names), parse_split(split))

    def chunks(self) -> Iterator[Chunk]:
        for split, info in self._builder().info.splits.items():
            size = chunk_size(info.num_examples)
            for start in range(0, info.num_examples, size):
                stop = min(start + size, info.num_examples)
                yield TfdsChunk(self._folder, split, start, stop, self.options, self.prefix)

    @functools.cached_property
    def _folder(self) -> str:
        root = pathlib.Path(self.path, self.options.name or "")
        versions = [path.parent for path in root.glob("*/dataset_info.json")]
        if not versions:
            raise GraftError(
                f"data.path {as_text(self.path)}: no data set {self.options.name!r} prepared there; "
                f"there must be {as_text(str(root))}/<version>/dataset_info.json"
            )
        return str(max(versions, key=lambda path: [int(part) for part in path.name.split(".") if part.isdecimal()]))

    def _builder(self) -> tfds.core.DatasetBuilder:
        builder = _open(self._folder)
        check_columns(self._folder, builder.info.features, self.options)
        return builder


def _open(folder: str) -> tfds.core.DatasetBuilder:
    try:
        return tfds.builder_from_directory(folder)
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError, json_format.Error) as error:
        raise GraftError(
            f"data.path {as_text(folder)}: cannot be opened: {error}; dataset_info.json and features.json must be as "
            "TFDS 4 writes them"
        ) from error


def _rows(builder: tfds.core.DatasetBuilder, folder: str, split: str, image: str) -> Iterator[dict[str, Any]]:
    """The rows of a split, or of a range of it, with the image as encoded; GraftError where a file is damaged."""
    number = 0
    try:
        rows = builder.as_dataset(split=split, decoders={image: tfds.decode.SkipDecoding()}, shuffle_files=False)
        for row in tfds.as_numpy(rows):
            yield row
            number += 1
    except tf.errors.OpError as error:
        raise GraftError(
            f"data.path {as_text(folder)}: row {number} of split {split} cannot be read: {decode_error_reason(error)}"
        ) from error


def _names(builder: tfds.core.DatasetBuilder, options: DataOptions) -> tuple[str, ...] | None:
    if options.class_names is not None:
        return options.class_names
    return tuple(getattr(builder.info.features[options.columns.label], "names", None) or ()) or None


def _plain(value):
    """NumPy scalars as Python's, arrays as lists."""
    return value.tolist() if hasattr(value, "tolist") else value
