"""Parquet with the encoded images in a column of bytes, or in a struct with a field `bytes` (Hugging Face's layout)."""

import dataclasses
import logging
import pathlib
from collections.abc import Iterator

from graft.components.ingest import worker
from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources import parquet_reader
from graft.components.ingest.sources.base import MAX_CHUNK, Chunk, Entry, Item, Source, as_text
from graft.components.ingest.sources.paths import find_files
from graft.models.errors import GraftError

log = logging.getLogger(__name__)

SUFFIXES = (".parquet",)


@dataclasses.dataclass(frozen=True)
class ParquetChunk(Chunk):
    """Row groups of one file.

    Attributes:
      alone: Whether there is no other file: if it takes its reader down, that is an error, else its rows are rejected.
    """

    path: str
    groups: tuple[int, ...]
    rows: int
    first_row: int
    options: DataOptions
    prefix: str
    alone: bool = True

    @property
    def size(self) -> int:
        return self.rows

    def read(self) -> Iterator[Item]:
        name = self.prefix + as_text(pathlib.Path(self.path).name)
        given = 0
        try:
            for items in worker.stream(
                parquet_reader.read_items, self.path, self.groups, self.first_row, self.options, name
            ):
                yield from items
                given += len(items)
        except worker.DiedError as error:
            if self.alone:
                raise GraftError(f"data.path {as_text(self.path)}: {error}") from error
            for number in range(self.first_row + given, self.first_row + self.rows):
                yield _lost(f"{name}#{number}", str(error), self.options)


@dataclasses.dataclass(frozen=True)
class LostChunk(Chunk):
    """A file that took its reader down before its rows were known."""

    name: str
    detail: str
    options: DataOptions

    def read(self) -> Iterator[Item]:
        yield _lost(self.name, self.detail, self.options)


class Parquet(Source):
    """A file, a folder or a pattern; `data.columns` names the columns."""

    def files(self) -> Iterator[str]:
        yield from find_files(self.path, "Parquet", SUFFIXES)

    def entries(self) -> Iterator[Entry]:
        paths = list(self.files())
        for path in paths:
            try:
                for entries in worker.stream(parquet_reader.read_entries, path, self.options):
                    yield from entries
            except worker.DiedError as error:
                if len(paths) == 1:
                    raise GraftError(f"data.path {as_text(path)}: {error}") from error
                log.warning("data.path %s: %s; its images will be rejected", as_text(path), error)

    def chunks(self) -> Iterator[Chunk]:
        paths = list(self.files())
        alone = len(paths) == 1
        for path in paths:
            try:
                (sizes,) = worker.stream(parquet_reader.group_sizes, path, self.options)
            except worker.DiedError as error:
                if alone:
                    raise GraftError(f"data.path {as_text(path)}: {error}") from error
                yield LostChunk(self.prefix + as_text(pathlib.Path(path).name), str(error), self.options)
                continue
            groups: list[int] = []
            first = rows = 0
            for number, size in enumerate(sizes):
                groups.append(number)
                rows += size
                if rows >= MAX_CHUNK or number == len(sizes) - 1:
                    yield ParquetChunk(path, tuple(groups), rows, first, self.options, self.prefix, alone)
                    groups, first, rows = [], first + rows, 0


def _lost(name: str, detail: str, options: DataOptions) -> Item:
    return Item(name, "", reason=Reason.UNREADABLE, detail=detail, group=None if options.group is None else "")
