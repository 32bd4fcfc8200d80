"""Parquet with the contents in a column of bytes or texts, or in a struct with a field `bytes` (Hugging Face's way)."""

import dataclasses
import logging
import pathlib
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from graft.components.ingest import worker
from graft.components.ingest.options import RowOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import MAX_CHUNK, About, Chunk, Item, as_text
from graft.components.ingest.sources.paths import find_files
from graft.models.errors import GraftError
from graft.models.text import located

log = logging.getLogger(__name__)

SUFFIXES = (".parquet",)


class Options(RowOptions):
    """Parquet files: a file, a folder or a pattern."""

    source: Literal["parquet"] = Field("parquet", description="Parquet files, as Hugging Face publishes them.")


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
    request: Request
    prefix: str
    alone: bool = True

    @property
    def size(self) -> int:
        return self.rows

    def read(self) -> Iterator[Item]:
        from graft.components.ingest.sources import parquet_reader

        name = self.prefix + as_text(pathlib.Path(self.path).name)
        given = 0
        try:
            for items in worker.stream(
                parquet_reader.read_items, self.path, self.groups, self.first_row, self.request, name
            ):
                yield from items
                given += len(items)
        except worker.DiedError as error:
            if self.alone:
                raise GraftError(f"data.path {located(self.path)}: {error}") from error
            for number in range(self.first_row + given, self.first_row + self.rows):
                yield _lost(f"{name}#{number}", str(error))


@dataclasses.dataclass(frozen=True)
class LostChunk(Chunk):
    """A file that took its reader down before its rows were known."""

    name: str
    detail: str

    def read(self) -> Iterator[Item]:
        yield _lost(self.name, self.detail)


class Source(base.Source):
    """A file, a folder or a pattern; `data.columns` names the columns."""

    def files(self) -> Iterator[str]:
        yield from find_files(self.path, "Parquet", SUFFIXES)

    def entries(self) -> Iterator[About]:
        from graft.components.ingest.sources import parquet_reader

        paths = list(self.files())
        for path in paths:
            try:
                for entries in worker.stream(parquet_reader.read_entries, path, self.request):
                    yield from entries
            except worker.DiedError as error:
                if len(paths) == 1:
                    raise GraftError(f"data.path {located(path)}: {error}") from error
                log.warning("data.path %s: %s; its %s will be rejected", as_text(path), error, self.request.input.unit)

    def chunks(self) -> Iterator[Chunk]:
        from graft.components.ingest.sources import parquet_reader

        paths = list(self.files())
        alone = len(paths) == 1
        for path in paths:
            try:
                (sizes,) = worker.stream(parquet_reader.group_sizes, path, self.request)
            except worker.DiedError as error:
                if alone:
                    raise GraftError(f"data.path {located(path)}: {error}") from error
                yield LostChunk(self.prefix + as_text(pathlib.Path(path).name), str(error))
                continue
            groups: list[int] = []
            first = rows = 0
            for number, size in enumerate(sizes):
                groups.append(number)
                rows += size
                if rows >= MAX_CHUNK or number == len(sizes) - 1:
                    yield ParquetChunk(path, tuple(groups), rows, first, self.request, self.prefix, alone)
                    groups, first, rows = [], first + rows, 0


def _lost(name: str, detail: str) -> Item:
    return Item(name, reason=Reason.UNREADABLE, detail=detail)
