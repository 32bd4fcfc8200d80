"""A TensorFlow Dataset that is prepared on disk. Nothing is downloaded, and neither its code nor TFDS is needed."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import Chunk, Entry, Item, Source, as_text
from graft.components.ingest.sources.columns import add_group, check_columns, extra_columns, label_text
from graft.components.ingest.sources.tfds_info import Info, Shard, read_info
from graft.components.ingest.sources.tfrecord import longest, read_rows, too_long_item
from graft.components.ingest.splits import parse_split
from graft.models.errors import GraftError
from graft.models.tfrecord_file import TooLong


@dataclasses.dataclass(frozen=True)
class TfdsChunk(Chunk):
    """One file of a split."""

    info: Info
    shard: Shard
    options: DataOptions
    prefix: str

    @property
    def size(self) -> int:
        return self.shard.count

    def read(self) -> Iterator[Item]:
        image = self.options.image_column
        names = _names(self.info, self.options)
        for number, row in enumerate(_rows(self.info, self.shard, self.options), self.shard.first):
            file = f"{self.prefix}{self.shard.split}#{number}"
            if isinstance(row, TooLong):
                yield too_long_item(file, row, self.options)
                continue
            single = {name: value for name, value in row.items() if self.info.features[name].single}
            item = Item(
                file,
                label_text(row[self.options.columns.label], names),
                parse_split(self.shard.split),
                slices=extra_columns(single, self.options),
            )
            encoded = row[image]
            if isinstance(encoded, bytes):
                item.encoded = encoded
            else:
                item.reason, item.detail = Reason.UNREADABLE, f"feature {image!r} is no encoded image"
            yield add_group(item, row, self.options)


class Tfds(Source):
    """The newest version of `data.name` under `data.path`; its splits are kept (`validation` is eval)."""

    def files(self) -> Iterator[str]:
        for path in sorted(pathlib.Path(self._folder).iterdir()):
            yield str(path)

    def entries(self) -> Iterator[Entry]:
        info = self._info()
        names = _names(info, self.options)
        for shard in info.shards:
            for row in _rows(info, shard, self.options):
                if not isinstance(row, TooLong):
                    yield Entry(label_text(row[self.options.columns.label], names), parse_split(shard.split))

    def chunks(self) -> Iterator[Chunk]:
        info = self._info()
        for shard in info.shards:
            yield TfdsChunk(info, shard, self.options, self.prefix)

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

    def _info(self) -> Info:
        info = read_info(self._folder)
        check_columns(self._folder, info.features, self.options)
        info.check_kinds(_used(self.options))
        return info


def _used(options: DataOptions) -> list[str]:
    return [options.image_column, options.columns.label, *options.slices, *([options.group] if options.group else [])]


def _rows(info: Info, shard: Shard, options: DataOptions) -> Iterator[dict[str, Any] | TooLong]:
    """The records of a file, by the features of the first level.

    Raises:
      GraftError: The file is damaged, holds more or fewer records than it is to, or one lacks a feature that is used.
    """
    count = 0
    for row in read_rows(shard.path, longest(options)):
        count += 1
        if isinstance(row, TooLong):
            yield row
            continue
        for name in _used(options):
            if name not in row:
                raise GraftError(
                    f"data.path {as_text(shard.path)}: record {count - 1} has no feature {name!r}, which features.json "
                    f"announces; there are {', '.join(sorted(row))[:1000]}"
                )
        yield {
            name: bool(value) if feature.truth and isinstance(value, int) else value
            for name, feature in info.features.items()
            if (value := row.get(name)) is not None
        }
    if count != shard.count:
        raise GraftError(
            f"data.path {as_text(shard.path)}: holds {count} records, but dataset_info.json announces {shard.count}"
        )


def _names(info: Info, options: DataOptions) -> tuple[str, ...] | None:
    return options.class_names if options.class_names is not None else info.class_names(options.columns.label)
