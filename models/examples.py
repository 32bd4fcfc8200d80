"""The one form in which examples lie in TFRecord files: ingestion writes it, every later stage reads it.

| feature | holds |
|---|---|
| `input` | the content as the model takes it, bytes |
| `label` | bytes: one class, or several; float: one or several numbers; nothing where there is no label |
| `file` | the name shown to people |
| `sha256` | of the content as the source gave it, hex |
| `group` | with `data.group`: the value of that column, or empty |
| `domain` | with `data.domain`, `data.target` or examples without a label: `source`, `target` or `unlabelled` |
| `weight` | with `data.weight`: how much the example counts in training, float |
| facts of the input | int64 or bytes, by the names of `models.inputs.base.Input.FACTS` |
| extra columns | bytes, by their names |

Importing this imports no TensorFlow.
"""

import functools
import hashlib
import itertools
import pathlib
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graft.models.errors import GraftError, kernel_reason
from graft.models.stored import reading
from graft.models.tfrecord_file import TooLong, read_records

INPUT, LABEL, FILE, DIGEST = "input", "label", "file", "sha256"
GROUP, DOMAIN, WEIGHT = "group", "domain", "weight"

SOURCE_DOMAIN, TARGET_DOMAIN, UNLABELLED = "source", "target", "unlabelled"
"""Values of `domain`. Where an example has none, it counts as one of the target domain. `unlabelled` is of the target
domain too, but has no label: whoever asks for the target domain gets examples with labels only."""

JUDGED = "judged"
"""No value of `domain`, but what `read_examples` takes for one: the labelled examples of the target domain, or those of
the source domain where there are none of the target's."""

OF_PREDICTIONS = ("prediction", "probabilities", "values")
"""Names that predictions put beside the extra columns."""

RESERVED = (INPUT, LABEL, FILE, DIGEST, GROUP, DOMAIN, WEIGHT, *OF_PREDICTIONS)
"""No extra column may carry one of these names, nor that of a fact of its input."""

_OPTIONAL = (GROUP, DOMAIN, WEIGHT)
_BATCH_RECORDS, _BATCH_BYTES = 256, 2**24
_LONGEST = 2**31

# The wire format of protocol buffers, for tensorflow/core/example/feature.proto: a tag is (field << 3) | 2, as all that
# is used here has a length.
_FIELD_1, _FIELD_2, _FIELD_3 = b"\n", b"\x12", b"\x1a"


def build(
    content: bytes,
    label: Sequence[str] | Sequence[float],
    file: str,
    digest: bytes,
    facts: Mapping[str, int | str],
    columns: Mapping[str, str] | None = None,
    *,
    group: str | None = None,
    domain: str | None = None,
    weight: float | None = None,
    numbers: bool = False,
) -> bytes:
    """A serialized tf.Example; equal arguments give equal bytes.

    Not by `tf.train.Example`, which takes several times as long and orders its features by chance.

    Args:
        content: what the model takes.
        label: classes or numbers; none where there is no label.
        file: name shown to people.
        digest: sha256 of the content as the source gave it, 32 bytes.
        facts: of the input.
        columns: extra columns.
        group: value of the column `data.group`; None where there is none.
        domain: `SOURCE_DOMAIN`, `TARGET_DOMAIN` or `UNLABELLED`; None where there are none.
        weight: of the example; None where there is none.
        numbers: whether labels are numbers: a feature without a value has a type, too.
    """
    held = _NO_NUMBERS if numbers and not label else _feature(LABEL, tuple(label))
    rest = [held, _text(FILE, file), _text(DIGEST, digest.hex())]
    for name, value in facts.items():
        rest.append(_feature(name, (value,)))
    if group is not None:
        rest.append(_text(GROUP, group))
    if domain is not None:
        rest.append(_feature(DOMAIN, (domain,)))
    if weight is not None:
        rest.append(_feature(WEIGHT, (weight,)))
    if columns:
        rest += [_text(name, value) for name, value in columns.items()]
    # The content may be megabytes: what goes before it is made of its length, so that it is copied once.
    size = len(content)
    before = _FIELD_1 + _varint(size)
    before = _FIELD_1 + _varint(len(before) + size) + before
    before = _INPUT_KEY + _FIELD_2 + _varint(len(before) + size) + before
    before = _FIELD_1 + _varint(len(before) + size) + before
    size += len(before) + sum(map(len, rest))
    return b"".join((_FIELD_1, _varint(size), before, content, *rest))


def _text(name: str, value: str) -> bytes:
    """One entry of the map of features: a text."""
    held, key = value.encode(), _key(name)
    size = len(held)
    if len(key) + size > 121:
        return _entry(name, _sized(_FIELD_1, _sized(_FIELD_1, held)))
    # Each length takes one byte.
    return b"\n%c%b\x12%c\n%c\n%c%b" % (len(key) + size + 6, key, size + 4, size + 2, size, held)


@functools.lru_cache(maxsize=2**12)
def _feature(name: str, values: tuple[Any, ...]) -> bytes:
    """One entry of the map of features: texts, whole numbers or floating-point numbers; many examples have the same."""
    if not values or isinstance(values[0], str):
        held = _sized(_FIELD_1, b"".join([_sized(_FIELD_1, value.encode()) for value in values]))
    elif isinstance(values[0], int):
        held = _sized(_FIELD_3, _sized(_FIELD_1, b"".join(map(_varint, values))))
    else:
        held = _sized(_FIELD_2, _sized(_FIELD_1, struct.pack(f"<{len(values)}f", *values)))
    return _entry(name, held)


def _entry(name: str, held: bytes) -> bytes:
    return _sized(_FIELD_1, _key(name) + _sized(_FIELD_2, held))


@functools.lru_cache(maxsize=2**10)
def _key(name: str) -> bytes:
    return _sized(_FIELD_1, name.encode())


def _sized(tag: bytes, held: bytes) -> bytes:
    return tag + _varint(len(held)) + held


def _varint(number: int) -> bytes:
    """A whole number, not below 0, in groups of seven bits."""
    if number < 128:
        return _SMALL[number]
    if number < 16384:  # most lengths
        return bytes((number & 127 | 128, number >> 7))
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


_SMALL = [bytes([number]) for number in range(128)]
_INPUT_KEY = _sized(_FIELD_1, INPUT.encode())
_NO_NUMBERS = _entry(LABEL, _sized(_FIELD_2, b""))


def group_key(group: bytes | None) -> bytes:
    """What stands for a group where only equality matters: its sha256 in hex; empty for none."""
    return hashlib.sha256(group).hexdigest().encode() if group else b""


def split_files(examples_uri: str, split: str) -> list[str]:
    """The sorted TFRecord shards of one split; GraftError where there are none."""
    files = sorted(str(p) for p in pathlib.Path(examples_uri, f"Split-{split}").glob("*"))
    if not files:
        raise GraftError(f"{examples_uri}: no shards of split {split!r}")
    return files


def read_examples(files: Iterable[str], features: Iterable[str], domain: str | None = None) -> Iterator[dict[str, Any]]:
    """Chosen features of each example, in the order of the files. Memory holds some megabytes of them, or one.

    Args:
        files: TFRecord files, sorted.
        features: names. Those that only some data has (`group`, `domain`, `weight`) are None where it has none.
        domain: gives the examples of this domain only. Examples without one are of the target domain. `JUDGED` reads
            the files a second time where the first gave none.

    Yields:
        name -> value: of `label` a tuple of texts or numbers, of others bytes, int or float.

    Raises:
        GraftError: a file is damaged, or lacks a feature.
    """
    names, files = tuple(dict.fromkeys(features)), tuple(files)
    for wanted in (TARGET_DOMAIN, SOURCE_DOMAIN) if domain == JUDGED else (domain,):
        found = False
        for path in files:
            for records in read_batches(path):
                for row in _parse(path, records, names, wanted):
                    found = True
                    yield row
        if found:
            return


def read_serialized(path: str) -> Iterator[bytes]:
    """The Examples of one file as they stand there.

    Raises:
        GraftError: the file is damaged.
    """
    with reading(path, "ingest"):
        for record in read_records(path, _LONGEST):
            if isinstance(record, TooLong):
                raise GraftError(f"{path}: a record of {record.length} bytes; at most {_LONGEST} are read")
            yield record


def read_batches(path: str) -> Iterator[list[bytes]]:
    """The Examples of one file as they stand there, some hundred or some megabytes at a time.

    Raises:
        GraftError: the file is damaged.
    """
    batch: list[bytes] = []
    size = 0
    for record in read_serialized(path):
        if batch and (len(batch) == _BATCH_RECORDS or size + len(record) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield batch


def _parse(path: str, records: list[bytes], names: tuple[str, ...], domain: str | None) -> Iterator[dict[str, Any]]:
    import tensorflow as tf

    held = tf.train.Example.FromString(records[0]).features.feature
    kinds = {name: held[name].WhichOneof("kind") for name in (*names, DOMAIN) if name in held}
    missing = [name for name in names if name not in kinds and name not in _OPTIONAL]
    if missing:
        raise GraftError(f"{path}: no feature {missing[0]!r}; there are {', '.join(sorted(held))[:1000]}")
    types = {"bytes_list": tf.string, "int64_list": tf.int64, "float_list": tf.float32}
    spec = {
        name: tf.io.RaggedFeature(types[kind]) if name == LABEL else tf.io.FixedLenFeature([], types[kind])
        for name, kind in kinds.items()
    }
    try:
        columns: dict[str, Any] = {name: [None] * len(records) for name in (*names, DOMAIN)}
        for name, column in tf.io.parse_example(tf.constant(records), spec).items() if spec else ():
            columns[name] = _labels(column) if name == LABEL else column.numpy().tolist()
    except tf.errors.InvalidArgumentError as error:
        raise GraftError(f"{path}: {kernel_reason(error.message)[:300]}") from error
    domains = columns.get(DOMAIN) or [None] * len(records)
    for row, of in enumerate(domains):
        if domain is None or domain == (of.decode() if of else TARGET_DOMAIN):
            yield {name: columns[name][row] for name in names}


def _labels(column: Any) -> list[tuple]:
    values, splits = column.values.numpy().tolist(), column.row_splits.numpy().tolist()
    if values and isinstance(values[0], bytes):
        values = [value.decode() for value in values]
    return [tuple(values[start:end]) for start, end in itertools.pairwise(splits)]
