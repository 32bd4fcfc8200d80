"""TFRecord files of tf.Example, plain or gzipped."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
from google.protobuf import message

from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import Chunk, Entry, Item, Source, as_text
from graft.components.ingest.sources.columns import add_group, check_columns, extra_columns, label_text, split_text
from graft.components.ingest.sources.paths import find_files, group
from graft.models.errors import GraftError
from graft.models.tfrecord_file import DamagedError, TooLong, read_records

SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record")

_BESIDE_IMAGE = 2**20
_SHOWN_VALUES = 8


@dataclasses.dataclass(frozen=True)
class TfRecordChunk(Chunk):
    """Whole files, for a TFRecord cannot be entered in the middle."""

    paths: tuple[str, ...]
    options: DataOptions
    prefix: str

    def read(self) -> Iterator[Item]:
        image = self.options.image_column
        for path in self.paths:
            name = self.prefix + as_text(pathlib.Path(path).name)
            for number, row in enumerate(read_rows(path, longest(self.options))):
                if isinstance(row, TooLong):
                    yield too_long_item(f"{name}#{number}", row, self.options)
                    continue
                encoded = row.get(image)
                item = Item(
                    f"{name}#{number}",
                    label_text(row.get(self.options.columns.label), self.options.class_names),
                    split_text(row, self.options),
                    slices=extra_columns(row, self.options),
                )
                if isinstance(encoded, bytes):
                    item.encoded = encoded
                else:
                    item.reason = Reason.UNREADABLE
                    item.detail = f"feature {image!r} holds no bytes; there are {', '.join(sorted(row))}"
                yield add_group(item, row, self.options)


class TfRecord(Source):
    """A file, a folder or a pattern; `data.columns` names the features."""

    def files(self) -> Iterator[str]:
        yield from find_files(self.path, "TFRecord", SUFFIXES)

    def entries(self) -> Iterator[Entry]:
        columns = self.options.columns
        self._check_first()
        for path in self.files():
            for row in read_rows(path, longest(self.options)):
                if isinstance(row, TooLong):
                    continue
                label = label_text(row.get(columns.label), self.options.class_names)
                yield Entry(label, split_text(row, self.options))

    def chunks(self) -> Iterator[Chunk]:
        self._check_first()
        for paths in group(list(self.files())):
            yield TfRecordChunk(paths, self.options, self.prefix)

    def _check_first(self) -> None:
        path = next(self.files())
        row = next(read_rows(path, longest(self.options)), None)
        if row is None:
            raise GraftError(f"data.path {as_text(path)}: holds no record")
        if not isinstance(row, TooLong):
            check_columns(path, row, self.options)


def read_rows(path: str, most: int) -> Iterator[dict[str, Any] | TooLong]:
    """The features of each tf.Example: bytes, int or float where there is one value, a list where there are more.

    Args:
      path: The file.
      most: Longest record that is read, bytes; one that is longer is passed over and only announced.

    Raises:
      GraftError: The file is damaged or holds something else, with the number of the record.
    """
    number = 0
    try:
        for record in read_records(path, most):
            yield record if isinstance(record, TooLong) else parse_example(record)
            number += 1
    except DamagedError as error:
        raise GraftError(f"data.path {as_text(path)}: record {number} cannot be read: {error}") from error
    except OSError as error:
        raise GraftError(f"data.path {as_text(path)}: {error.strerror}") from error
    except message.DecodeError as error:
        raise GraftError(f"data.path {as_text(path)}: record {number} is no tf.Example") from error


def parse_example(record: bytes) -> dict[str, Any]:
    """The features of a serialized tf.Example, see `read_rows`; of a list the first values, which tell that it is one.

    Raises:
      google.protobuf.message.DecodeError: It is none.
    """
    return {name: _value(feature) for name, feature in tf.train.Example.FromString(record).features.feature.items()}


def longest(options: DataOptions) -> int:
    """The longest record that is read, bytes: an image of `max_bytes` and what else an example holds."""
    return options.max_bytes + _BESIDE_IMAGE


def too_long_item(name: str, record: TooLong, options: DataOptions) -> Item:
    """What is told of a record that was passed over."""
    detail = f"record of {record.length} bytes, at most {longest(options)} are read"
    return Item(name, "", reason=Reason.TOO_LARGE, detail=detail, group=None if options.group is None else "")


def _value(feature: tf.train.Feature) -> Any:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    return values[0] if len(values) == 1 else list(values[:_SHOWN_VALUES])
