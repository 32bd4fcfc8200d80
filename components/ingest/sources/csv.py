"""A CSV file with a row an example: path or text, label, optional split, and extra columns, which become slices."""
# ruff: noqa: PTH118, PTH120
# os.path, for names that are many and need not be UTF-8.

import contextlib
import csv
import dataclasses
import io
import itertools
import os
from collections.abc import Iterator
from typing import BinaryIO, ClassVar, Literal

from pydantic import Field

from graft.components.ingest.options import RowOptions
from graft.components.ingest.request import Request
from graft.components.ingest.sources import base
from graft.components.ingest.sources.base import About, Chunk, Item, as_text
from graft.components.ingest.sources.columns import check_columns, content_of, read_row
from graft.components.ingest.sources.files import FileRef, file_chunks
from graft.models.errors import GraftError
from graft.models.regular_file import open_regular

_LONGEST_LINE = 2**20
_LONGEST_PATH, _LONGEST_TEXT = 2**17, 2**24
_CHUNK_BYTES = 2**22
_BOM = b"\xef\xbb\xbf"


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
        with _Table(self.path, self.request) as table:
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
        with _Table(self.path, self.request) as table:
            for row in table.rows():
                yield read_row(row, self.request, extra={})

    def chunks(self) -> Iterator[Chunk]:
        if not self.request.input.reads_paths:
            yield from self._row_chunks()
            return
        yield from file_chunks(self._root, list(self._refs()), self.request.input.limit, self.prefix)

    def _row_chunks(self) -> Iterator[Chunk]:
        with _Table(self.path, self.request) as table:
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
        with _Table(self.path, self.request) as table:
            for row in table.rows():
                yield FileRef(row[column] or "", read_row(row, self.request))


class _Table:
    """An open CSV file whose header was read and checked.

    Attributes:
      end: Where the last row that was read ends, bytes.
      line: Number of its last line.
    """

    def __init__(self, path: str, request: Request):
        self._path, self._request = path, request
        self._where = f"data.path {as_text(path)}"
        self.end = self.line = 0

    def __enter__(self) -> "_Table":
        # Of the process; a longer field is taken for a file of another kind.
        csv.field_size_limit(_LONGEST_PATH if self._request.input.reads_paths else _LONGEST_TEXT)
        with _in_one_line(self._where):
            self._file = open_regular(self._path)
            self.end = len(_BOM) if self._file.read(len(_BOM)) == _BOM else 0
            self._file.seek(self.end)
            self._text = _as_lines(self._file)
            self._reader = csv.reader(self._lines(), delimiter="\t" if self._path.endswith(".tsv") else ",")
            self._names: list[str] = next(self._reader, [])
            check_columns(self._path, self._names, self._request)
            if len(set(self._names)) != len(self._names):
                there = ", ".join(self._names)[:1000]
                raise GraftError(f"{self._where}: two columns have one name; there are {there}")
        return self

    def __exit__(self, *error) -> None:
        self._text.close()

    def skip_to(self, place: int, line: int) -> None:
        """Goes on with the row that begins at a place, bytes, after a number of lines."""
        self._text.detach()
        self._file.seek(place)
        self._text = _as_lines(self._file)
        self.end, self.line = place, line

    def rows(self) -> Iterator[dict[str, str | None]]:
        """The rows, by column; a field that is missing at the end is None, an empty line no row.

        Raises:
          GraftError: A row has more fields than there are columns, or it is no CSV file.
        """
        names = self._names
        with _in_one_line(self._where):
            for fields in self._reader:
                if len(fields) > len(names):
                    raise GraftError(
                        f"{self._where}, line {self.line}: {len(fields)} fields, "
                        f"but {len(names)} columns ({', '.join(names)[:1000]})"
                    )
                if fields:
                    yield dict(itertools.zip_longest(names, fields))

    def _lines(self) -> Iterator[str]:
        """The lines; csv.Error where one goes on and on, as it does in a file of another kind."""
        while line := self._text.readline(_LONGEST_LINE):
            self.line += 1
            if len(line) == _LONGEST_LINE:
                raise csv.Error(f"line {self.line} has more than {_LONGEST_LINE} characters")
            self.end += len(line) if line.isascii() else len(line.encode("utf-8", "surrogateescape"))
            yield line


def _as_lines(file: BinaryIO) -> io.TextIOWrapper:
    # Bytes that are not UTF-8 must survive: they may be part of a file's name.
    return io.TextIOWrapper(file, newline="", encoding="utf-8", errors="surrogateescape")


@contextlib.contextmanager
def _in_one_line(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GraftError(f"{where}: {error.strerror}; it must be a CSV file") from error
    except csv.Error as error:
        raise GraftError(f"{where}: not CSV: {error}") from error
