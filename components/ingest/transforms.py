"""The Beam steps of ingestion that see one chunk: it is listed, checked and written to a working shard."""

import collections
import hashlib
import threading
from collections.abc import Iterable, Iterator

import apache_beam as beam

from graft.components.ingest import check, shards
from graft.components.ingest.header import Header, Refused
from graft.components.ingest.options import DataOptions, label_fault
from graft.components.ingest.reasons import Reason
from graft.components.ingest.records import Record, bucket_of
from graft.components.ingest.sources.base import Chunk, Item, Source
from graft.models import examples, progress
from graft.models.errors import GraftError

STAGE = "ingest"
_BATCH_BYTES = 2**23


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
    """(name, chunk) -> (bucket, records). Checks each image and writes a working shard and a note about the chunk."""

    def __init__(self, options: DataOptions, folder: str):
        self._options = options
        self._folder = folder

    def process(self, element: tuple[str, Chunk]) -> Iterator[tuple[int, list[tuple]]]:
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


class _ChunkJob:
    """State while one chunk is written."""

    def __init__(self, options: DataOptions, folder: str, name: str):
        self._options = options
        self._name = name
        self.writer = shards.ShardWriter(folder, name)
        self.buckets: dict[int, list[tuple]] = collections.defaultdict(list)
        self._rejected: list[list[str]] = []
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
            digest = item.digest or hashlib.sha256(item.encoded).digest()
            offset, length = self.writer.write(make_example(item, header, digest))
            record = Record(
                digest=digest,
                label=item.label,
                group=item.group or "",
                named=self._options.named_split(item.split),
                size=len(item.encoded),
                chunk=self._name,
                offset=offset,
                length=length,
                file=item.file,
            )
            # Beam has a quick way with plain tuples; anything else it pickles one by one.
            self.buckets[bucket_of(digest)].append(tuple(record))
            self._bytes += len(item.encoded)
            used += 1
        Meter.add(done=used)

    def note(self) -> dict:
        return {"rejected": self._rejected, "bytes": self._bytes}


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
    """Checks what the source says of an image.

    Raises:
      Refused: It has no label that may be used, or names a split that does not exist.
      GraftError: `data.group` is set, and the source does not read groups.
    """
    if options.group is not None and item.group is None:
        raise GraftError(
            f"data.group is {options.group!r}, but source {options.source} gives {item.file} no group; leave it out"
        )
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
    """The Example of an image, extra columns as text."""
    facts: dict[str, int | str] = {"width": header.width, "height": header.height, "format": header.format}
    return examples.build(item.encoded, (item.label,), item.file, digest, facts, item.slices, group=item.group)
