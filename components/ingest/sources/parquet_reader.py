"""What is read of a Parquet file. Arrow believes what it says of itself, so this runs in `components.ingest.worker`.

A file of 2 kB can hold one value of 40 MB in a dictionary and name it in each row; a page may claim any size.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow_hotfix  # before pyarrow 14 reading a schema could run code from the file (CVE-2023-47248)

from graft.components.ingest.reasons import Reason
from graft.components.ingest.request import Request
from graft.components.ingest.sources.base import About, Item
from graft.components.ingest.sources.columns import check_columns, content_of, read_row
from graft.models.errors import GraftError, one_line
from graft.models.regular_file import open_regular
from graft.models.text import located

_BATCH_ROWS = 64
_BATCH_BYTES = 2**25
_BUFFER_BYTES = 2**20

_FEWEST_ROWS, _ROW_BYTES = 4096, 16
"""A file may have so many rows, and one more for so many bytes: what has more repeats itself without end."""


def group_sizes(path: str, request: Request) -> Iterator[list[int]]:
    """Rows of each row group, in one list.

    Raises:
      GraftError: The file cannot be opened, lacks columns, or announces more rows than it can hold.
    """
    metadata = _open(path, request).metadata
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    size = os.path.getsize(path)  # noqa: PTH202
    if min(sizes, default=0) < 0 or sum(sizes) > _FEWEST_ROWS + size // _ROW_BYTES:
        raise GraftError(f"data.path {located(path)}: announces {sum(sizes)} rows, which {size} bytes cannot hold")
    yield sizes


def read_entries(path: str, request: Request) -> Iterator[list[About]]:
    """What is said of all rows without their contents, in pieces.

    Raises:
      GraftError: As `group_sizes`, and where a row cannot be read.
    """
    (sizes,) = group_sizes(path, request)
    file = _open(path, request)
    names = class_names(path, file.schema_arrow, request)
    split, needed = request.data.columns.split, request.needed_columns
    wanted = [name for key, name in needed.items() if key != "data.columns.input" and not key.startswith("data.slices")]
    if split is not None and split in file.schema_arrow.names:
        wanted.append(split)
    for _, rows in _batches(path, file, list(range(len(sizes))), list(dict.fromkeys(wanted)), 0):
        yield [read_row(row, request, names, extra={}) for row in rows]


def read_items(path: str, groups: tuple[int, ...], first_row: int, request: Request, name: str) -> Iterator[list[Item]]:
    """The rows of some row groups, in pieces.

    Args:
      path: The file.
      groups: Numbers of the row groups.
      first_row: Number of their first row in the file.
      request: What is asked for.
      name: The file as it is shown to people.

    Raises:
      GraftError: A row cannot be read.
    """
    column, most = request.input_column, request.input.limit
    file = _open(path, request)
    names = class_names(path, file.schema_arrow, request)
    for start, rows in _batches(path, file, list(groups), None, first_row):
        items, size = [], 0
        for number, row in enumerate(rows, start):
            value = row[column]
            content = content_of(value.get("bytes") if isinstance(value, dict) else value, request)
            item = Item(f"{name}#{number}", read_row(row, request, names))
            if content is None:
                item.reason, item.detail = Reason.UNREADABLE, f"column {column!r} holds no bytes in this row"
            elif len(content) > most:
                item.reason = Reason.TOO_LARGE
                item.detail = f"{len(content)} bytes, at most {most} are read"
            else:
                item.content = content
                size += len(content)
            items.append(item)
            if size > _BATCH_BYTES:
                yield items
                items, size = [], 0
        yield items


def _open(path: str, request: Request) -> pq.ParquetFile:
    column = request.input_column
    file = open_file(path)
    names = file.schema_arrow.names
    check_columns(path, names, request)
    if len(set(names)) != len(names):
        raise GraftError(f"data.path {located(path)}: two columns have one name")
    kind = file.schema_arrow.field(column).type
    nested = pa.types.is_struct(kind) and "bytes" in {kind[i].name for i in range(kind.num_fields)}
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    held = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or nested
    if not (held or (text and not request.input.reads_paths)):
        raise GraftError(f"data.path {located(path)}: column {column!r} is of {kind}; it must hold bytes")
    return file


def open_file(path: str) -> pq.ParquetFile:
    """Opens a file and reads its schema.

    Raises:
      GraftError: It is no Parquet, or its schema names types that only code of the file's own can read.
    """
    pyarrow_hotfix.install()
    try:
        open_regular(path).close()  # a FIFO would be waited for
        # Buffered, a column is read page by page and not as a whole.
        file = pq.ParquetFile(path, buffer_size=_BUFFER_BYTES)
        _ = file.schema_arrow.names
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise GraftError(f"data.path {located(path)}: not Parquet: {_line(error)}") from error
    # The hotfix raises RuntimeError, or what the pickle that it lists makes of it.
    except (RuntimeError, ValueError) as error:
        raise GraftError(
            f"data.path {located(path)}: its schema holds pickled Python code (arrow.py_extension_type), which is not "
            "run; write the columns with plain types"
        ) from error
    return file


def _batches(
    path: str, file: pq.ParquetFile, groups: list[int], columns: list[str] | None, first_row: int
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(number of the first row, rows), as many as are a few megabytes by what the file says of itself."""
    number = first_row
    metadata = [file.metadata.row_group(group) for group in groups]
    rows, size = sum(group.num_rows for group in metadata), sum(group.total_byte_size for group in metadata)
    batch_rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(1, size)))
    try:
        for batch in file.iter_batches(batch_rows, row_groups=groups, columns=columns, use_threads=False):
            rows = batch.to_pylist()
            yield number, rows
            number += len(rows)
    except MemoryError:
        raise
    # Besides Arrow's own errors: text that is no UTF-8, dates that no calendar has.
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise GraftError(f"data.path {located(path)}: row {number} cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    return one_line(error, 500)


def class_names(path: str, schema: pa.Schema, request: Request) -> tuple[str, ...] | None:
    """The names that Hugging Face's `ClassLabel` keeps in the schema; None where the settings give the names.

    Raises:
      GraftError: What is kept there under Hugging Face's key is not theirs.
    """
    if request.class_names is not None or len(request.target.columns) != 1:
        return None
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        feature = _get(info, "info", "features", request.target.columns[0])
        names = _get(feature, "names")
        if (
            names is None and isinstance(feature, dict) and isinstance(feature.get("feature"), dict)
        ):  # of a list of them
            names = _get(feature, "feature", "names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"the names of the classes are {str(names)[:100]}, not a list of texts")
    except (ValueError, RecursionError) as error:
        raise GraftError(
            f"data.path {located(path)}: the metadata 'huggingface' of its schema cannot be read: {_line(error)}; "
            "target.class_names names the classes without it"
        ) from error
    return tuple(names) if names else None


def _get(value: Any, *keys: str) -> Any:
    """`value[key][key]...`, None where a key is missing; ValueError where what holds the key is no mapping."""
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ValueError(f"{str(value)[:100]} stands where a mapping with {key!r} belongs")
        value = value.get(key)
    return value
