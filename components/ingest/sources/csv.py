"""A CSV file with a row an image: path, label, optional split, and any extra columns, which become slices."""
# ruff: noqa: PTH118, PTH120
# os.path, for names that are many and need not be UTF-8.

import csv
import io
import itertools
import os
from collections.abc import Iterator
from typing import TextIO

from graft.components.ingest.sources.base import Chunk, Entry, Source, as_text, chunk_size
from graft.components.ingest.sources.columns import check_columns, extra_columns, group_text, label_text, split_text
from graft.components.ingest.sources.files import FileChunk, FileRef
from graft.models.errors import GraftError
from graft.models.regular_file import open_regular

_LONGEST_LINE = 2**20


class Csv(Source):
    """A header and rows, separated by commas (`.tsv`: by tabs). Paths are absolute or start at the CSV's folder."""

    def files(self) -> Iterator[str]:
        yield self.path
        for ref in self._refs():
            yield os.path.join(self._root, ref.path)

    def entries(self) -> Iterator[Entry]:
        for ref in self._refs():
            yield Entry(ref.label, ref.split)

    def chunks(self) -> Iterator[Chunk]:
        refs = list(self._refs())
        size = chunk_size(len(refs))
        for start in range(0, len(refs), size):
            part = tuple(refs[start : start + size])
            yield FileChunk(self._root, part, self.options.max_bytes, self.prefix)

    @property
    def _root(self) -> str:
        return os.path.dirname(self.path)

    def _refs(self) -> Iterator[FileRef]:
        columns, image = self.options.columns, self.options.image_column
        where = f"data.path {as_text(self.path)}"
        try:
            # Bytes that are not UTF-8 must survive: they may be part of a file's name.
            with io.TextIOWrapper(
                open_regular(self.path), newline="", encoding="utf-8-sig", errors="surrogateescape"
            ) as file:
                rows = csv.DictReader(_lines(file), delimiter="\t" if self.path.endswith(".tsv") else ",")
                names = rows.fieldnames or []
                check_columns(self.path, names, self.options)
                if len(set(names)) != len(names):
                    raise GraftError(f"{where}: two columns have one name; there are {', '.join(names)[:1000]}")
                for row in rows:
                    if None in row:
                        raise GraftError(
                            f"{where}, line {rows.line_num}: {len(names) + len(row[None])} fields, "
                            f"but {len(names)} columns ({', '.join(names)[:1000]})"
                        )
                    yield FileRef(
                        row[image] or "",
                        label_text(row[columns.label], self.options.class_names),
                        split_text(row, self.options),
                        extra_columns(row, self.options),
                        group_text(row, self.options),
                    )
        except OSError as error:
            raise GraftError(f"{where}: {error.strerror}; it must be a CSV file") from error
        except csv.Error as error:
            raise GraftError(f"{where}: not CSV: {error}") from error


def _lines(file: TextIO) -> Iterator[str]:
    """The lines of a file; csv.Error where one goes on and on, as it does in a file of another kind."""
    for number in itertools.count(1):
        line = file.readline(_LONGEST_LINE)
        if not line:
            return
        if len(line) == _LONGEST_LINE:
            raise csv.Error(f"line {number} has more than {_LONGEST_LINE} characters")
        yield line
