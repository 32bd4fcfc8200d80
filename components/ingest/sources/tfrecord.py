"""TFRecord files of tf.Example, plain or gzipped."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator
from typing import Any, Literal

from pydantic import Field

from graft.components.ingest.options import RowOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, Item, as_text
from graft.components.ingest.sources.columns import check_columns, content_of, read_row
from graft.components.ingest.sources.paths import find_files, group
from graft.models.errors import GraftError
from graft.models.text import located
from graft.models.tfrecord_file import DamagedError, TooLong, read_records

SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record")

_BESIDE_CONTENT = 2**20
_SHOWN_VALUES = 8


class Options(RowOptions):
    """TFRecord files of tf.Example: a file, a folder or a pattern; `columns` names the features."""

    source: Literal["tfrecord"] = Field("tfrecord", description="TFRecord files of tf.Example, plain or gzipped.")


@dataclasses.dataclass(frozen=True)
class TfRecordChunk(Chunk):
    """Whole files, for a TFRecord cannot be entered in the middle."""

    paths: tuple[str, ...]
    request: Request
    prefix: str

    def read(self) -> Iterator[Item]:
        column = self.request.input_column
        for path in self.paths:
            name = self.prefix + as_text(pathlib.Path(path).name)
            for number, row in enumerate(read_rows(path, longest(self.request), self.request.target.columns)):
                if isinstance(row, TooLong):
                    yield too_long_item(f"{name}#{number}", row, self.request)
                    continue
                item = Item(f"{name}#{number}", read_row(row, self.request))
                content = content_of(row.get(column), self.request)
                if content is None:
                    item.reason = Reason.UNREADABLE
                    item.detail = f"feature {column!r} holds no bytes; there are {', '.join(sorted(row))}"
                else:
                    item.content = content
                yield item


class Source(base.Source):
    """A file, a folder or a pattern; `data.columns` names the features."""

    def files(self) -> Iterator[str]:
        yield from find_files(self.path, "TFRecord", SUFFIXES)

    def entries(self) -> Iterator[About]:
        self._check_first()
        for path in self.files():
            for row in read_rows(path, longest(self.request), self.request.target.columns):
                if not isinstance(row, TooLong):
                    yield read_row(row, self.request, extra={})

    def chunks(self) -> Iterator[Chunk]:
        self._check_first()
        for paths in group(list(self.files())):
            yield TfRecordChunk(paths, self.request, self.prefix)

    def _check_first(self) -> None:
        path = next(self.files())
        row = next(read_rows(path, longest(self.request), self.request.target.columns), None)
        if row is None:
            raise GraftError(f"data.path {located(path)}: holds no record")
        if not isinstance(row, TooLong):
            check_columns(path, row, self.request)


def read_rows(path: str, most: int, whole: Collection[str] = ()) -> Iterator[dict[str, Any] | TooLong]:
    """The features of each tf.Example: bytes, int or float where there is one value, a list where there are more.

    Args:
      path: The file.
      most: Longest record that is read, bytes; one that is longer is passed over and only announced.
      whole: See `parse_example`.

    Raises:
      GraftError: The file is damaged or holds something else, with the number of the record.
    """
    from google.protobuf import message

    number = 0
    try:
        for record in read_records(path, most):
            yield record if isinstance(record, TooLong) else parse_example(record, whole)
            number += 1
    except DamagedError as error:
        raise GraftError(f"data.path {located(path)}: record {number} cannot be read: {error}") from error
    except OSError as error:
        raise GraftError(f"data.path {located(path)}: {error.strerror}") from error
    except message.DecodeError as error:
        raise GraftError(f"data.path {located(path)}: record {number} is no tf.Example") from error


def parse_example(record: bytes, whole: Collection[str] = ()) -> dict[str, Any]:
    """The features of a serialized tf.Example, see `read_rows`; of a list the first values, which tell that it is one.

    Args:
      record: The bytes.
      whole: Features of which all values are given.

    Raises:
      google.protobuf.message.DecodeError: It is none.
    """
    import tensorflow as tf

    features = tf.train.Example.FromString(record).features.feature
    return {name: _value(feature, name in whole) for name, feature in features.items()}


def longest(request: Request) -> int:
    """The longest record that is read, bytes: the largest content and what else an example holds."""
    return request.input.limit + _BESIDE_CONTENT


def too_long_item(name: str, record: TooLong, request: Request) -> Item:
    """What is told of a record that was passed over."""
    detail = f"record of {record.length} bytes, at most {longest(request)} are read"
    return Item(name, reason=Reason.TOO_LARGE, detail=detail)


def _value(feature: Any, whole: bool) -> Any:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else []
    return values[0] if len(values) == 1 else list(values if whole else values[:_SHOWN_VALUES])
