"""The Beam steps of ingestion that see one chunk: it is listed, checked and written to a working shard."""

import collections
import threading
from collections.abc import Iterable, Iterator

import apache_beam as beam

from graft.components.ingest import shards, verify
from graft.components.ingest.records import Record, bucket_of, label_text, pack
from graft.components.ingest.request import Request
from graft.components.ingest.sources.base import Chunk, Item, Source
from graft.models import examples, progress
from graft.models.errors import GraftError
from graft.models.inputs.base import Facts, Refused

STAGE = "ingest"


class Meter:
    """Examples listed and done in this process, for the progress line."""

    _lock = threading.Lock()
    _unit = ""
    listed = done = rejected = 0

    @classmethod
    def reset(cls, unit: str) -> None:
        with cls._lock:
            cls._unit, cls.listed, cls.done, cls.rejected = unit, 0, 0, 0

    @classmethod
    def add(cls, *, listed: int = 0, done: int = 0, rejected: int = 0) -> None:
        with cls._lock:
            cls.listed += listed
            cls.done += done
            cls.rejected += rejected
            total = cls.listed if cls.listed >= cls.done else None  # not every source knows before reading
            progress.report(STAGE, cls.done, total, cls._unit, rejected=cls.rejected)


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
    """(name, [chunk]) -> (bucket, packed records). Checks each example; writes a working shard and a note."""

    def __init__(self, request: Request, folder: str):
        self._request = request
        self._folder = folder

    def process(self, element: tuple[str, Iterable[Chunk]]) -> Iterator[tuple[int, bytes]]:
        name, [chunk] = element
        try:
            job = _ChunkJob(self._request, self._folder, name)
            with job.writer:
                found = verify.batches(chunk.read(), self._request.input, job.refuse)
                for batch, answers in verify.verify_ahead(found, self._request.input):
                    job.write(batch, answers)
        except GraftError as error:
            shards.write_note(self._folder, f"error-{name}", {"message": str(error)})
            return
        shards.write_note(self._folder, name, job.note())
        yield from ((bucket, pack(records)) for bucket, records in job.buckets.items())


class _ChunkJob:
    """State while one chunk is written."""

    def __init__(self, request: Request, folder: str, name: str):
        self._request = request
        self._name = name
        self.writer = shards.ShardWriter(folder, name)
        self.buckets: dict[int, list[Record]] = collections.defaultdict(list)
        self._rejected: list[list[str]] = []
        self._bytes = 0

    def refuse(self, item: Item, refused: Refused) -> None:
        self._rejected.append([item.file, label_text(item.about.value), str(refused.reason), refused.detail])
        Meter.add(done=1, rejected=1)

    def write(self, batch: verify.Batch, answers: list[verify.Answer]) -> None:
        used = 0
        for (item, facts), (content, digest) in zip(batch, answers, strict=True):
            if isinstance(content, Refused):
                self.refuse(item, content)
                continue
            offset, length = self.writer.write(make_example(item, content, facts, digest, self._request))
            about = item.about
            record = Record(
                digest=digest,
                value=about.value,
                group=about.group or "",
                named=about.split,
                domain=about.domain,
                size=len(content),
                chunk=self._name,
                offset=offset,
                length=length,
                file=item.file,
            )
            self.buckets[bucket_of(digest)].append(record)
            self._bytes += len(content)
            used += 1
        Meter.add(done=used)

    def note(self) -> dict:
        return {"rejected": self._rejected, "bytes": self._bytes}


def make_example(item: Item, content: bytes, facts: Facts, digest: bytes, request: Request) -> bytes:
    """The Example of what was verified; see `models.examples`."""
    about = item.about
    kept = {name: facts[name] for name in request.input.FACTS}
    return examples.build(
        *(content, about.value, item.file, digest, kept, about.columns),
        group=about.group,
        domain=about.domain,
        weight=about.weight,
        numbers=not request.target.has_vocabulary,
    )
