"""What ingestion would keep, and why not the rest: read, admitted, hashed and split as by ingestion, nothing written.

Unpacking contents, the pixels of images, is most of ingestion's work. Here it ends at a bound; what is broken behind
the header of a content beyond that is found by the run alone, and how many were unpacked is told.
"""

import collections
import dataclasses
import hashlib
import heapq
import time
from collections.abc import Iterator

from graft.components.ingest import resolving, verify
from graft.components.ingest.plan import make_plan, merge, take_census
from graft.components.ingest.records import Record, bucket_of, label_text, pack
from graft.components.ingest.request import Request
from graft.components.ingest.sources.base import Item, Source
from graft.components.ingest.spans import open_sources
from graft.components.ingest.summary import Counts, Summary, check_counts
from graft.models import progress
from graft.models.examples import UNLABELLED
from graft.models.inputs.base import Input, Refused
from graft.models.targets.base import Value

STAGE = "check"
_VERIFIED_COST = 128
"""Work on unpacking, in units of the input's `BATCH_COST`: 2 * 10^9 pixels, half a minute of a core."""
_NOTHING = b""
_HELD = 480
_HELD_BYTES = 256 << 20


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A labelled training example.

    Attributes:
      digest: As of `Record`.
      unit: Likewise.
      value: Its label.
      content: As it would be stored.
    """

    digest: bytes
    unit: bytes
    value: Value
    content: bytes


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """What ingestion would do.

    Attributes:
      summary: The counts that it would write.
      rejected: File, label, reason and detail of each example that it would not use.
      verified: Contents that were unpacked, as far as the input has anything to unpack.
      admitted: Contents whose header was good.
      train: Some of the training split with a label; empty if none were asked for. Which ones, and their order, is
        decided by their digests: a draw of 480 of all data, 256 MiB at most, of which those are taken.
    """

    summary: Summary
    rejected: list[list[str]]
    verified: int
    admitted: int
    train: tuple[Sampled, ...] = ()


def rehearse(request: Request, sample: bool = False, unpack: bool = True) -> Rehearsal:
    """Goes through the data as ingestion does; memory holds a record of each example, and the contents of a sample.

    Args:
      request: What is asked for.
      sample: Whether some training examples are returned.
      unpack: Whether contents are unpacked, up to the bound; false: only those of the sample.

    Raises:
      GraftError: What ingestion would raise: see `ingestion.ingest`.
    """
    start = time.monotonic()
    spans = open_sources(request)
    reading = _Reading(request, _VERIFIED_COST if unpack else 0, _Held() if sample else None)
    records = list(reading.records(reading.items([source for _, source in spans])))
    packed: dict[int, list[Record]] = collections.defaultdict(list)
    for record in records:
        packed[bucket_of(record.digest)].append(record)
    buckets = [[pack(packed[number])] for number in sorted(packed)]
    fractions = request.data.split
    units: dict[int, list] = collections.defaultdict(list)
    for bucket in buckets:
        for number, sightings in resolving.list_units((0, bucket), request):
            units[number] += sightings
    plan = make_plan(merge(take_census(sightings, fractions) for sightings in units.values()), fractions)
    counts, rejected = Counts(request), reading.rejected
    train: list[Sampled] = []
    counts.add_chunk({"rejected": list(rejected), "bytes": reading.bytes})
    for bucket in buckets:
        tally = resolving.Tally(request)
        for one in resolving.settled(bucket, plan, fractions):
            tally.add(one)
            train += _sampled(one, reading.held, request.input)
        note = tally.note()
        counts.add_bucket(note)
        rejected += note["rejected"]
    seconds, left_out = time.monotonic() - start, [source.left_out() for _, source in spans]
    summary = counts.summary(span=spans[-1][0], seconds=seconds, left_out=left_out)
    check_counts(summary, request)
    train.sort(key=lambda one: _rank(one.digest))
    return Rehearsal(summary, rejected, reading.verified, reading.admitted, tuple(train))


def _sampled(one: resolving.Settled, held: "_Held | None", input: Input) -> Iterator[Sampled]:
    if held is None or one.split != "train" or not one.kept or one.kept[0].domain == UNLABELLED:
        return
    record = one.kept[0]
    content = held.stored(record.digest, input)
    if content is not None:
        yield Sampled(record.digest, record.unit, record.value, content)


def _rank(digest: bytes) -> bytes:
    """What a sample goes by: splits go by the digests themselves, so the lowest of these are of one split."""
    return hashlib.sha256(b"sample" + digest).digest()


class _Held:
    """The contents of the lowest ranks, up to a bound: the same ones in whatever order they come."""

    def __init__(self) -> None:
        self._contents: dict[bytes, tuple[bytes, bool]] = {}  # as the source has it; whether it is stored like that
        self._highest: list[tuple[int, bytes]] = []  # ranks as numbers below 0, and digests: the first is the highest
        self._bytes, self._bound = 0, 1 << 256

    def add(self, digest: bytes, content: bytes, stored: bytes) -> None:
        """Holds a content, and lets the highest go; `stored` is empty where that is not known."""
        rank = int.from_bytes(_rank(digest), "big")
        if rank >= self._bound or digest in self._contents:
            return
        self._contents[digest] = content, stored == content
        heapq.heappush(self._highest, (-rank, digest))
        self._bytes += len(content)
        while len(self._contents) > _HELD or self._bytes > _HELD_BYTES:
            lowest, gone = heapq.heappop(self._highest)
            self._bound = -lowest
            self._bytes -= len(self._contents.pop(gone)[0])

    def stored(self, digest: bytes, input: Input) -> bytes | None:
        """A content as it would be stored; None if it is not held, or turns out to be broken."""
        content, same = self._contents.get(digest, (b"", False))
        if same or not content:
            return content or None
        try:
            [stored] = input.verify([content], [input.admit(content)])
        except Refused:
            return None
        return None if isinstance(stored, Refused) else stored


class _Reading:
    """Reads all contents once."""

    def __init__(self, request: Request, batches: float, held: _Held | None):
        self._request, self._batches, self.held = request, batches, held
        self.rejected: list[list[str]] = []
        self.bytes = self.done = self.verified = self.admitted = 0

    def items(self, sources: list[Source]) -> Iterator[Item]:
        """Everything there is, in the order of the sources."""
        for source in sources:
            for chunk in source.chunks():
                for item in chunk.read():
                    self.done += 1
                    if self.done % verify.BATCH_ITEMS == 0:
                        progress.report(STAGE, self.done, None, self._request.input.unit)
                    yield item

    def records(self, items: Iterator[Item]) -> Iterator[Record]:
        """A record of each content that ingestion would take."""
        number = 0
        for batch, answers in self._answers(verify.batches(items, self._request.input, self._refuse)):
            for (item, _), (content, digest) in zip(batch, answers, strict=True):
                if isinstance(content, Refused):
                    self._refuse(item, content)
                    continue
                about, size = item.about, len(item.content)
                if self.held is not None:
                    self.held.add(digest, item.content, content)
                self.bytes += size
                yield Record(
                    digest, about.value, about.group or "", about.split, about.domain, size, "", number, 0, item.file
                )
                number += 1

    def _answers(self, found: Iterator[verify.Batch]) -> Iterator[tuple[verify.Batch, list[verify.Answer]]]:
        affordable = _Affordable(found, self._request.input, self._batches)
        for batch, answers in verify.verify_ahead(affordable, self._request.input):
            self.verified += len(batch)
            self.admitted += len(batch)
            yield batch, answers
        for batch in affordable.rest():
            self.admitted += len(batch)
            yield batch, [verify.Answer(_NOTHING, hashlib.sha256(item.content).digest()) for item, _ in batch]

    def _refuse(self, item: Item, refused: Refused) -> None:
        self.rejected.append([item.file, label_text(item.about.value), str(refused.reason), refused.detail])


class _Affordable:
    """The batches up to a bound of their cost; `rest` has those after it."""

    def __init__(self, found: Iterator[verify.Batch], source: Input, batches: float):
        self._found, self._input = found, source
        self._left = batches * source.BATCH_COST
        self._first: verify.Batch | None = None

    def __iter__(self) -> Iterator[verify.Batch]:
        for batch in self._found:
            self._left -= sum(self._input.cost(facts) for _, facts in batch)
            if self._left < 0:
                self._first = batch
                return
            yield batch

    def rest(self) -> Iterator[verify.Batch]:
        """What was not affordable, each batch once."""
        if self._first is not None:
            yield self._first
        yield from self._found
