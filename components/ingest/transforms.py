"""The Beam steps of ingestion: chunks to shards, then one global step over digests, then repair of few shards."""

import collections
import hashlib
import threading
from collections.abc import Iterable, Iterator

import apache_beam as beam
import tensorflow as tf

from components.ingest import check, shards
from components.ingest.header import Header, Refused
from components.ingest.options import DataOptions, label_fault
from components.ingest.reasons import Reason
from components.ingest.sources.base import Chunk, Item, Source
from components.ingest.splits import PRECEDENCE, assign_split
from models import progress
from models.errors import GraftError

STAGE = "ingest"
BUCKETS = 64
"""Parts of the digest space that are looked at one at a time; bounds the memory of the global step."""

_BATCH_BYTES = 2**23

# One image in the global step: digest, label, split, chunk, position in its shard, file.
Record = tuple[bytes, str, str, str, int, str]


class Meter:
    """Images listed and done in this process, for the progress line."""

    _lock = threading.Lock()
    listed = done = rejected = 0

    @classmethod
    def reset(cls) -> None:
        with cls._lock:
            cls.listed = cls.done = cls.rejected = 0

    @classmethod
    def add(cls, *, listed: int = 0, done: int = 0, rejected: int = 0) -> None:
        with cls._lock:
            cls.listed += listed
            cls.done += done
            cls.rejected += rejected
            total = cls.listed if cls.listed >= cls.done else None  # not every source knows before reading
            progress.report(STAGE, cls.done, total, "images", rejected=cls.rejected)


class ListChunks(beam.DoFn):
    """(number, source) -> (name, chunk). What is wrong with a source goes to a note, whole: Beam would garble it."""

    def __init__(self, folder: str):
        self._folder = folder

    def process(self, element: tuple[int, Source]) -> Iterator[tuple[str, Chunk]]:
        number, source = element
        try:
            for index, chunk in enumerate(source.chunks()):
                Meter.add(listed=chunk.size)
                yield f"chunk-{number:03d}-{index:06d}", chunk
        except GraftError as error:
            shards.write_note(self._folder, f"error-{number:03d}", {"message": str(error)})


class WriteChunk(beam.DoFn):
    """(name, chunk) -> (bucket, records). Checks each image and writes shards and a note about the chunk."""

    def __init__(self, options: DataOptions, folder: str):
        self._options = options
        self._folder = folder

    def process(self, element: tuple[str, Chunk]) -> Iterator[tuple[int, list[Record]]]:
        name, chunk = element
        try:
            job = _ChunkJob(self._options, self._folder, name)
            with job.writer:
                for batch, faults in check.decode_ahead(_batches(chunk.read(), self._options, job.refuse)):
                    job.write(batch, faults)
        except GraftError as error:
            shards.write_note(self._folder, f"error-{name}", {"message": str(error)})
            return
        shards.write_note(self._folder, name, job.note())
        yield from job.buckets.items()


class FindConflicts(beam.DoFn):
    """(bucket, lists of records) -> ((chunk, split), [position, reason, detail]) for images that may not stay."""

    def __init__(self, folder: str):
        self._folder = folder

    def process(self, element: tuple[int, Iterable[list[Record]]]) -> Iterator[tuple[tuple[str, str], list]]:
        bucket, lists = element
        copies: dict[bytes, list[Record]] = collections.defaultdict(list)
        for records in lists:
            for record in records:
                copies[record[0]].append(record)
        duplicates = 0
        for records in copies.values():
            if len(records) > 1:
                refused, kept = resolve(records)
                duplicates += max(0, kept - 1)
                for (_, _, split, chunk, position, _), reason, detail in refused:
                    yield (chunk, split), [position, str(reason), detail]
        shards.write_note(self._folder, f"bucket-{bucket:03d}", {"duplicates": duplicates})


def repair(element: tuple[tuple[str, str], Iterable[list]], folder: str) -> None:
    """((chunk, split), [position, reason, detail]...): copies the shard without the images at those positions."""
    (chunk, split), refusals = element
    refused = {position: (reason, detail) for position, reason, detail in refusals}
    rejected = []
    with shards.ShardWriter(folder, chunk, clean=True) as writer:
        writer.open(split)
        for position, record in enumerate(shards.read_shard(shards.shard_path(folder, chunk, split))):
            feature = tf.train.Example.FromString(record).features.feature
            if position in refused:
                names = [feature[name].bytes_list.value[0].decode() for name in ("file", "label")]
                rejected.append([*names, *refused[position]])
            else:
                digest = bytes.fromhex(feature["sha256"].bytes_list.value[0].decode())
                writer.write(split, digest, record)
    shards.write_note(folder, f"repair-{chunk}-{split}", {"split": split, "rejected": rejected})


def resolve(records: list[Record]) -> tuple[list[tuple[Record, Reason, str]], int]:
    """Decides between copies of one image.

    Copies under several labels are all refused, for nobody can say which label is right. Of copies in several splits
    those in the held-out one stay (test before eval before train): a training copy would leak.

    Args:
      records: Copies of one image, in any order.

    Returns:
      The refused records with reason and detail, and how many stay.
    """
    records = sorted(records, key=lambda record: (record[3], record[2], record[4]))
    labels = sorted({record[1] for record in records})
    if len(labels) > 1:
        places = ", ".join(f"{record[5]} as {record[1]}" for record in records[:4])
        detail = f"same bytes under {', '.join(labels)}: {places}{', ...' if len(records) > 4 else ''}"
        return [(record, Reason.LABEL_CONFLICT, detail) for record in records], 0
    splits = {record[2] for record in records}
    winner = next(split for split in PRECEDENCE if split in splits)
    kept = [record for record in records if record[2] == winner]
    refused = [
        (record, Reason.SPLIT_CONFLICT, f"in {record[2]}, and in {winner} as {kept[0][5]}")
        for record in records
        if record[2] != winner
    ]
    return refused, len(kept)


class _ChunkJob:
    """State while one chunk is written."""

    def __init__(self, options: DataOptions, folder: str, name: str):
        self._options = options
        self._name = name
        self.writer = shards.ShardWriter(folder, name)
        self.buckets: dict[int, list[Record]] = collections.defaultdict(list)
        self._rejected: list[list[str]] = []
        self._used: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        self._bytes = 0

    def refuse(self, item: Item, refused: Refused) -> None:
        self._rejected.append([item.file, item.label, str(refused.reason), refused.detail])
        Meter.add(done=1, rejected=1)

    def write(self, batch: list[tuple[Item, Header]], faults: list[str | None]) -> None:
        used = 0
        for (item, header), fault in zip(batch, faults, strict=True):
            if fault is not None:
                self.refuse(item, Refused(Reason.CORRUPT, fault))
                continue
            digest = hashlib.sha256(item.encoded).digest()
            split = self._options.named_split(item.split)
            if split is None:
                fractions = self._options.split
                split = assign_split(digest, eval_fraction=fractions.eval, test_fraction=fractions.test)
            position = self.writer.write(split, digest, make_example(item, header, digest))
            record = (digest, item.label, split, self._name, position, item.file)
            self.buckets[digest[0] * BUCKETS // 256].append(record)
            self._used[split][item.label] += 1
            self._bytes += len(item.encoded)
            used += 1
        Meter.add(done=used)

    def note(self) -> dict:
        used = {split: dict(labels) for split, labels in self._used.items()}
        return {"used": used, "rejected": self._rejected, "bytes": self._bytes}


def _batches(items: Iterable[Item], options: DataOptions, refuse) -> Iterator[list[tuple[Item, Header]]]:
    """Groups images worth decoding, bounded by number, bytes and pixels; hands the others to `refuse`."""
    batch: list[tuple[Item, Header]] = []
    pixels = size = 0
    for item in items:
        try:
            header = check.check_header(item, options)
            check_label(item, options)
        except Refused as refused:
            refuse(item, refused)
            continue
        full = len(batch) == check.BATCH_IMAGES or size + len(item.encoded) > _BATCH_BYTES
        if batch and (full or pixels + header.pixels > check.BATCH_PIXELS):
            yield batch
            batch, pixels, size = [], 0, 0
        batch.append((item, header))
        pixels += header.pixels
        size += len(item.encoded)
    if batch:
        yield batch


def check_label(item: Item, options: DataOptions) -> None:
    """Raises `Refused` when the item has no label that may be used, or names a split that does not exist."""
    if not item.label:
        raise Refused(Reason.UNKNOWN_LABEL, "no label")
    if fault := label_fault(item.label):
        raise Refused(Reason.BAD_LABEL, fault)
    if options.class_names is not None and item.label not in options.class_names:
        allowed = ", ".join(options.class_names[:20])
        raise Refused(Reason.UNKNOWN_LABEL, f"{item.label!r} is not in data.class_names ({allowed})")
    try:
        options.named_split(item.split)
    except ValueError as error:
        raise Refused(Reason.BAD_SPLIT, str(error)) from error


def make_example(item: Item, header: Header, digest: bytes) -> bytes:
    """Serializes a tf.Example with the features that ingestion promises (see docs), extra columns as text."""
    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(item.encoded)
    feature["label"].bytes_list.value.append(item.label.encode())
    feature["file"].bytes_list.value.append(item.file.encode())
    feature["sha256"].bytes_list.value.append(digest.hex().encode())
    feature["width"].int64_list.value.append(header.width)
    feature["height"].int64_list.value.append(header.height)
    feature["format"].bytes_list.value.append(header.format.encode())
    for name, value in item.slices.items():
        feature[name].bytes_list.value.append(value.encode())
    return example.SerializeToString()
