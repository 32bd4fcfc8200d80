"""Tables as CSV: rows by column, places to go on from, and one line for what is no table."""

import contextlib
import csv
import io
import itertools
from collections.abc import Iterator
from typing import BinaryIO

from graft.models.errors import GraftError
from graft.models.regular_file import open_regular

_LONGEST_LINE = 2**20
_BOM = b"\xef\xbb\xbf"


class Table:
    """An open CSV file whose header was read.

    Args:
      path: The file; a `.tsv` has tabs between its columns.
      where: What it is called in errors.
      longest: Most characters of a field; a longer one is taken for a file of another kind.

    Attributes:
      names: The columns.
      end: Where the last row that was read ends, bytes.
      line: Number of its last line.
    """

    def __init__(self, path: str, where: str, longest: int):
        self._path, self._where, self._longest = path, where, longest
        self.names: list[str] = []
        self.end = self.line = 0

    def __enter__(self) -> "Table":
        csv.field_size_limit(self._longest)  # of the process
        with _in_one_line(self._where):
            self._file = open_regular(self._path)
            self.end = len(_BOM) if self._file.read(len(_BOM)) == _BOM else 0
            self._file.seek(self.end)
            self._text = _as_lines(self._file)
            self._reader = csv.reader(self._lines(), delimiter="\t" if self._path.endswith(".tsv") else ",")
            self.names = next(self._reader, [])
            if len(set(self.names)) != len(self.names):
                there = ", ".join(self.names)[:1000]
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
        names = self.names
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
