"""A TensorFlow Dataset that is prepared on disk. Nothing is downloaded, and neither its code nor TFDS is needed."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from graft.components.ingest.options import RowOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, Item, as_text
from graft.components.ingest.sources.columns import check_columns, content_of, read_row
from graft.components.ingest.sources.tfds_info import Info, Shard, read_info
from graft.components.ingest.sources.tfrecord import longest, read_rows, too_long_item
from graft.components.ingest.splits import parse_split
from graft.models.errors import GraftError
from graft.models.text import located
from graft.models.tfrecord_file import TooLong


class Options(RowOptions):
    """A TensorFlow Dataset that is prepared on disk, below `path`."""

    source: Literal["tfds"] = Field("tfds", description="A TensorFlow Dataset that is prepared on disk.")
    name: str = Field(min_length=1, description="Name of the data set, as `name` or `name/config`.")

    @property
    def splits_from(self) -> str:
        """Its own files."""
        return "prepare a data set that has all three splits"


@dataclasses.dataclass(frozen=True)
class TfdsChunk(Chunk):
    """One file of a split."""

    info: Info
    shard: Shard
    request: Request
    prefix: str

    @property
    def size(self) -> int:
        return self.shard.count

    def read(self) -> Iterator[Item]:
        column = self.request.input_column
        names = _names(self.info, self.request)
        split = parse_split(self.shard.split) or ""
        for number, row in enumerate(_rows(self.info, self.shard, self.request), self.shard.first):
            file = f"{self.prefix}{self.shard.split}#{number}"
            if isinstance(row, TooLong):
                yield too_long_item(file, row, self.request)
                continue
            single = {name: value for name, value in row.items() if self.info.features[name].single}
            item = Item(file, read_row(row, self.request, names, split=split, extra=single))
            content = content_of(row[column], self.request)
            if content is None:
                item.reason, item.detail = Reason.UNREADABLE, f"feature {column!r} holds no bytes"
            else:
                item.content = content
            yield item


class Source(base.Source):
    """The newest version of `data.name` under `data.path`; its splits are kept (`validation` is eval)."""

    def files(self) -> Iterator[str]:
        for path in sorted(pathlib.Path(self._folder).iterdir()):
            yield str(path)

    def entries(self) -> Iterator[About]:
        info = self._info()
        names = _names(info, self.request)
        for shard in info.shards:
            split = parse_split(shard.split) or ""
            for row in _rows(info, shard, self.request):
                if not isinstance(row, TooLong):
                    yield read_row(row, self.request, names, split=split, extra={})

    def chunks(self) -> Iterator[Chunk]:
        info = self._info()
        for shard in info.shards:
            yield TfdsChunk(info, shard, self.request, self.prefix)

    @functools.cached_property
    def _folder(self) -> str:
        root = pathlib.Path(self.path, self.options.name)
        versions = [path.parent for path in root.glob("*/dataset_info.json")]
        if not versions:
            raise GraftError(
                f"data.path {located(self.path)}: no data set {self.options.name!r} prepared there; "
                f"there must be {as_text(str(root))}/<version>/dataset_info.json"
            )
        return str(max(versions, key=lambda path: [int(part) for part in path.name.split(".") if part.isdecimal()]))

    def _info(self) -> Info:
        info = read_info(self._folder)
        check_columns(self._folder, info.features, self.request)
        info.check_kinds(_used(self.request))
        return info


def _used(request: Request) -> list[str]:
    return list(request.needed_columns.values())


def _rows(info: Info, shard: Shard, request: Request) -> Iterator[dict[str, Any] | TooLong]:
    """The records of a file, by the features of the first level.

    Raises:
      GraftError: The file is damaged, holds more or fewer records than it is to, or one lacks a feature that is used.
    """
    count = 0
    for row in read_rows(shard.path, longest(request), request.target.columns):
        count += 1
        if isinstance(row, TooLong):
            yield row
            continue
        for name in _used(request):
            if name not in row:
                raise GraftError(
                    f"data.path {located(shard.path)}: record {count - 1} has no feature {name!r}, which features.json "
                    f"announces; there are {', '.join(sorted(row))[:1000]}"
                )
        yield {
            name: bool(value) if feature.truth and isinstance(value, int) else value
            for name, feature in info.features.items()
            if (value := row.get(name)) is not None
        }
    if count != shard.count:
        raise GraftError(
            f"data.path {located(shard.path)}: holds {count} records, but dataset_info.json announces {shard.count}"
        )


def _names(info: Info, request: Request) -> tuple[str, ...] | None:
    """The names that the data set itself gives the classes, where the settings give none."""
    if request.class_names is not None or len(request.target.columns) != 1:
        return None
    return info.class_names(request.target.columns[0])
