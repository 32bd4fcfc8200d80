"""A CSV file with a row an example: path or text, label, optional split, and extra columns, which become slices."""
# ruff: noqa: PTH118, PTH120
# os.path, for names that are many and need not be UTF-8.

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from graft.components.ingest.csv_table import Table
from graft.components.ingest.options import RowOptions
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, Item, as_text
from graft.components.ingest.sources.columns import check_columns, content_of, read_row
from graft.components.ingest.sources.files import FileRef, file_chunks
from graft.models.text import located

_LONGEST_PATH, _LONGEST_TEXT = 2**17, 2**24
_CHUNK_BYTES = 2**22


class Options(RowOptions):
    """A CSV file: `path` is the file, and a row an example."""

    holds_bytes: ClassVar = False

    source: Literal["csv"] = Field("csv", description="A table with a header, separated by commas (`.tsv`: by tabs).")


@dataclasses.dataclass(frozen=True)
class RowsChunk(Chunk):
    """Rows that hold their contents.

    Attributes:
      path: The file.
      first: Number of the first row.
      count: How many there are.
      start: Where the first row begins, bytes.
      line: Number of the line before it.
    """

    path: str
    request: Request
    first: int
    count: int
    start: int
    line: int
    prefix: str

    @property
    def size(self) -> int:
        return self.count

    def read(self) -> Iterator[Item]:
        column = self.request.input_column
        name = self.prefix + as_text(os.path.basename(self.path))  # noqa: PTH119
        with _open(self.path, self.request) as table:
            table.skip_to(self.start, self.line)
            for number, row in enumerate(itertools.islice(table.rows(), self.count), self.first):
                content = content_of(row[column] or "", self.request)
                yield Item(f"{name}#{number}", read_row(row, self.request), content or b"")


class Source(base.Source):
    """A header and rows. Paths in it are absolute or start at the CSV's folder."""

    def files(self) -> Iterator[str]:
        yield self.path
        if self.request.input.reads_paths:
            for ref in self._refs():
                yield os.path.join(self._root, ref.path)

    def entries(self) -> Iterator[About]:
        with _open(self.path, self.request) as table:
            for row in table.rows():
                yield read_row(row, self.request, extra={})

    def chunks(self) -> Iterator[Chunk]:
        if not self.request.input.reads_paths:
            yield from self._row_chunks()
            return
        yield from file_chunks(self._root, list(self._refs()), self.request.input.limit, self.prefix)

    def _row_chunks(self) -> Iterator[Chunk]:
        with _open(self.path, self.request) as table:
            first, start, line, number = 0, table.end, table.line, 0
            for number, _ in enumerate(table.rows(), 1):
                if number - first == base.MAX_CHUNK or table.end - start > _CHUNK_BYTES:
                    yield RowsChunk(self.path, self.request, first, number - first, start, line, self.prefix)
                    first, start, line = number, table.end, table.line
            if number > first:
                yield RowsChunk(self.path, self.request, first, number - first, start, line, self.prefix)

    @property
    def _root(self) -> str:
        return os.path.dirname(self.path)

    def _refs(self) -> Iterator[FileRef]:
        column = self.request.input_column
        with _open(self.path, self.request) as table:
            for row in table.rows():
                yield FileRef(row[column] or "", read_row(row, self.request))


@contextlib.contextmanager
def _open(path: str, request: Request) -> Iterator[Table]:
    """The table, once its columns were checked."""
    longest = _LONGEST_PATH if request.input.reads_paths else _LONGEST_TEXT
    with Table(path, f"data.path {located(path)}", longest) as table:
        check_columns(path, table.names, request)
        yield table
