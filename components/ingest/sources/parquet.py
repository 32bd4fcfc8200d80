"""Parquet with the encoded images in a column of bytes, or in a struct with a field `bytes` (Hugging Face's layout)."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow_hotfix  # before pyarrow 14 reading a schema could run code from the file (CVE-2023-47248)

from components.ingest.options import DataOptions
from components.ingest.reasons import Reason
from components.ingest.sources.base import MAX_CHUNK, Chunk, Entry, Item, Source, as_text
from components.ingest.sources.columns import add_group, check_columns, extra_columns, label_text, split_text
from components.ingest.sources.paths import find_files
from models.errors import GraftError

SUFFIXES = (".parquet",)
_BATCH_ROWS = 64


@dataclasses.dataclass(frozen=True)
class ParquetChunk(Chunk):
    """Row groups of one file."""

    path: str
    groups: tuple[int, ...]
    rows: int
    first_row: int
    options: DataOptions
    prefix: str

    @property
    def size(self) -> int:
        return self.rows

    def read(self) -> Iterator[Item]:
        columns, image = self.options.columns, self.options.image_column
        name = self.prefix + as_text(pathlib.Path(self.path).name)
        number = self.first_row
        try:
            file = open_file(self.path)
            names = class_names(file.schema_arrow, self.options)
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=list(self.groups)):
                for row in batch.to_pylist():
                    value = row[image]
                    encoded = value.get("bytes") if isinstance(value, dict) else value
                    item = Item(
                        f"{name}#{number}",
                        label_text(row[columns.label], names),
                        split_text(row, self.options),
                        slices=extra_columns(row, self.options),
                    )
                    if isinstance(encoded, bytes):
                        item.encoded = encoded
                    else:
                        item.reason, item.detail = Reason.UNREADABLE, f"column {image!r} holds no bytes in this row"
                    yield add_group(item, row, self.options)
                    number += 1
        except (pa.ArrowException, OSError) as error:
            raise GraftError(f"data.path {as_text(self.path)}: row {number} cannot be read: {error}") from error


class Parquet(Source):
    """A file, a folder or a pattern; `data.columns` names the columns."""

    def files(self) -> Iterator[str]:
        yield from find_files(self.path, "Parquet", SUFFIXES)

    def entries(self) -> Iterator[Entry]:
        columns = self.options.columns
        for path in self.files():
            file = self._open(path)
            names = class_names(file.schema_arrow, self.options)
            wanted = [columns.label] + ([columns.split] if columns.split in file.schema_arrow.names else [])
            for batch in file.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    yield Entry(label_text(row[columns.label], names), split_text(row, self.options))

    def chunks(self) -> Iterator[Chunk]:
        for path in self.files():
            metadata = self._open(path).metadata
            groups: list[int] = []
            first = rows = 0
            for number in range(metadata.num_row_groups):
                groups.append(number)
                rows += metadata.row_group(number).num_rows
                if rows >= MAX_CHUNK or number == metadata.num_row_groups - 1:
                    yield ParquetChunk(path, tuple(groups), rows, first, self.options, self.prefix)
                    groups, first, rows = [], first + rows, 0

    def _open(self, path: str) -> pq.ParquetFile:
        image = self.options.image_column
        file = open_file(path)
        check_columns(path, file.schema_arrow.names, self.options)
        kind = file.schema_arrow.field(image).type
        nested = pa.types.is_struct(kind) and "bytes" in {kind[i].name for i in range(kind.num_fields)}
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or nested):
            raise GraftError(f"data.path {as_text(path)}: column {image!r} is of {kind}; it must hold bytes")
        return file


def open_file(path: str) -> pq.ParquetFile:
    """Opens a file and reads its schema.

    Raises:
      GraftError: It is no Parquet, or its schema names types that only code of the file's own can read.
    """
    pyarrow_hotfix.install()
    try:
        file = pq.ParquetFile(path)
        _ = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise GraftError(f"data.path {as_text(path)}: not Parquet: {error}") from error
    # The hotfix raises RuntimeError, or what the pickle that it lists makes of it.
    except (RuntimeError, ValueError) as error:
        raise GraftError(
            f"data.path {as_text(path)}: its schema holds pickled Python code (arrow.py_extension_type), which is not "
            "run; write the columns with plain types"
        ) from error
    return file


def class_names(schema: pa.Schema, options: DataOptions) -> tuple[str, ...] | None:
    """`data.class_names`, else the names that Hugging Face's `ClassLabel` keeps in the schema, else None."""
    if options.class_names is not None:
        return options.class_names
    info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    names = info.get("info", {}).get("features", {}).get(options.columns.label, {}).get("names")
    return tuple(names) if names else None
