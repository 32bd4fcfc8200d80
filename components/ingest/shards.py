"""TFRecord files on their way: working shards in the source's order, parts in that of digests, final shards."""

import collections
import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from graft.components.ingest.records import Record
from graft.components.ingest.splits import SPLITS
from graft.models import durable
from graft.models.tfrecord_file import framed

SHARD_BYTES = 2**26
"""Bytes of contents that make a final shard worth a file. Names of files do not count: they differ between sources."""

_BUFFER = 2**18
_MOST_OPEN = 128


class Part(NamedTuple):
    """The examples of one bucket in one split.

    Attributes:
      path: The TFRecord file.
      size: Bytes of their contents.
      digests: Their sha256, 32 bytes each, in order.
      groups: sha256 of the group of each example that is in one, 32 bytes each, in order.
    """

    path: str
    size: int
    digests: bytes
    groups: bytes


def work_folder(examples_uri: str) -> str:
    """Where shards and notes lie while ingestion runs."""
    return f"{examples_uri}/.ingest"


def _replacing(path: str) -> contextlib.AbstractContextManager[pathlib.Path]:
    """A fresh name to write to, which becomes `path`: a repeated or doubled bundle leaves one whole file.

    Nobody waits for the disk: after a crash of the machine the whole stage runs again.
    """
    return durable.replacing(pathlib.Path(path), sync=False)


def write_note(folder: str, name: str, note: dict[str, Any]) -> None:
    """Writes a JSON note from a worker to the driver."""
    with _replacing(f"{folder}/{name}.json") as path:
        path.write_text(json.dumps(note), encoding="utf-8")


def read_notes(folder: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Reads the notes whose name starts with `prefix`, in the order of their names."""
    for path in sorted(pathlib.Path(folder).iterdir()):
        if path.name.startswith(prefix) and path.suffix == ".json":
            yield json.loads(path.read_text(encoding="utf-8"))


class ShardWriter:
    """Writes the examples of one chunk to its working shard.

    Use as a context manager; the file appears at its end, and only when it ends well.
    """

    def __init__(self, folder: str, chunk: str):
        self._path = _working_shard(folder, chunk)
        self._stack = contextlib.ExitStack()
        self._end = 0

    def __enter__(self) -> "ShardWriter":
        fresh = self._stack.enter_context(_replacing(self._path))
        # Not by TensorFlow's writer, whose checksums are slow where it was built without the CPU's own.
        self._file = self._stack.enter_context(fresh.open("wb", buffering=_BUFFER))
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def write(self, example: bytes) -> tuple[int, int]:
        """Appends a serialized example; returns where its framed record begins and how long it is, bytes."""
        frame = framed(example)
        self._file.write(frame)
        offset, length = self._end, len(frame)
        self._end += length
        return offset, length


class ShardReader:
    """Reads framed records of the working shards. Use as a context manager, or close it.

    Records in the order of digests lie anywhere, so files stay open; the one not used for longest makes room.
    """

    def __init__(self, folder: str):
        self._folder = folder
        self._open: collections.OrderedDict[str, BinaryIO] = collections.OrderedDict()

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def read(self, record: Record) -> bytes:
        """The framed record, with its length and checksums."""
        file = self._open.pop(record.chunk, None)
        if file is None:
            if len(self._open) == _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            file = pathlib.Path(_working_shard(self._folder, record.chunk)).open("rb", buffering=0)  # noqa: SIM115
        self._open[record.chunk] = file
        frame = os.pread(file.fileno(), record.length, record.offset)
        if len(frame) != record.length:
            raise RuntimeError(f"{file.name}: {len(frame)} of {record.length} bytes at {record.offset}")
        return frame


class PartWriter:
    """Writes the records of one bucket, a part a split. Use as a context manager, as `ShardWriter`."""

    def __init__(self, folder: str, bucket: int):
        self._folder, self._bucket = folder, bucket
        self._stack = contextlib.ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._written: dict[str, list[Record]] = {}

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def write(self, split: str, record: Record, frame: bytes) -> None:
        """Appends a record, framed as it was read, to the part of a split."""
        if split not in self._files:
            fresh = self._stack.enter_context(_replacing(f"{self._folder}/{self._name(split)}"))
            self._files[split] = self._stack.enter_context(fresh.open("wb", buffering=_BUFFER))
            self._written[split] = []
        self._files[split].write(frame)
        self._written[split].append(record)

    def note(self) -> dict[str, dict[str, Any]]:
        """What `list_parts` needs to know of what was written."""
        return {
            split: {
                "name": self._name(split),
                "size": sum(record.size for record in records),
                "digests": b"".join(record.digest for record in records).hex(),
                "groups": b"".join(record.unit for record in records if record.group).hex(),
            }
            for split, records in self._written.items()
        }

    def _name(self, split: str) -> str:
        return f"bucket-{self._bucket:03d}.{split}"


def _working_shard(folder: str, chunk: str) -> str:
    return f"{folder}/{chunk}.tfrecord"


def list_parts(folder: str) -> dict[str, list[Part]]:
    """The parts of each split, in the order of digests."""
    parts: dict[str, list[Part]] = {split: [] for split in SPLITS}
    for note in read_notes(folder, "bucket-"):
        for split, part in note["parts"].items():
            keys = (bytes.fromhex(part[name]) for name in ("digests", "groups"))
            parts[split].append(Part(f"{folder}/{part['name']}", part["size"], *keys))
    return parts


def publish(examples_uri: str, parts: dict[str, list[Part]]) -> None:
    """Makes `Split-<split>/data_tfrecord-NNNNN-of-MMMMM` of the parts and drops the working folder."""
    for split, found in parts.items():
        target = pathlib.Path(examples_uri, f"Split-{split}")
        target.mkdir(parents=True, exist_ok=True)
        shards = join(found)
        for number, (first, *others) in enumerate(shards):
            shard = target / f"data_tfrecord-{number:05d}-of-{len(shards):05d}"
            pathlib.Path(first.path).replace(shard)
            if others:
                with shard.open("ab") as whole:
                    for part in others:
                        with pathlib.Path(part.path).open("rb") as file:
                            shutil.copyfileobj(file, whole, _BUFFER)
    shutil.rmtree(work_folder(examples_uri))


def join(parts: Sequence[Part]) -> list[list[Part]]:
    """Neighbouring parts that make a shard together: as few as have `SHARD_BYTES`."""
    shards: list[list[Part]] = []
    filled = SHARD_BYTES
    for part in parts:
        if filled >= SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(part)
        filled += part.size
    return shards
