"""Which records stay, and in which split: copies, conflicts, counts. Ingestion and its rehearsal share it."""

import collections
import functools
import itertools
import operator
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from graft.components.ingest.options import SplitOptions
from graft.components.ingest.plan import Sighting
from graft.components.ingest.reasons import Reason
from graft.components.ingest.records import Record, bucket_of, unpack
from graft.components.ingest.request import Request
from graft.components.ingest.splits import PRECEDENCE, assign_split
from graft.models.examples import UNLABELLED
from graft.models.targets.base import Value

_DIGEST = operator.itemgetter(Record._fields.index("digest"))
_FILE_AND_PLACE = operator.attrgetter("file", "chunk", "offset")

Refusal = tuple[Record, Reason, str]


class Settled(NamedTuple):
    """What becomes of the copies of one content.

    Attributes:
      kept: The records that stay.
      split: The split they are in; empty where none stays.
      refused: The others, with reason and detail.
      dropped: How many without a label gave way to one that has a label.
    """

    kept: list[Record]
    split: str
    refused: list[Refusal]
    dropped: int


def list_units(element: tuple[int, Iterable[bytes]], request: Request) -> Iterator[tuple[int, list[Sighting]]]:
    """(bucket of digests, packed records) -> (bucket of units, sightings), without what will be refused."""
    buckets: dict[int, set[Sighting]] = collections.defaultdict(set)
    strata = functools.cache(request.strata)
    for copies in copies_in_order(element[1]):
        copies = with_labels(copies)
        if len(copies) > 1 and len({record.value for record in copies}) > 1:
            continue
        for record in copies:
            unit = record.unit
            sightings = buckets[bucket_of(unit)]
            for stratum in strata(record.value, record.domain):
                sightings.add((unit, stratum, record.named))
    yield from ((bucket, list(sightings)) for bucket, sightings in buckets.items())


def settled(packed: Iterable[bytes], plan: dict[bytes, str], fractions: SplitOptions) -> Iterator[Settled]:
    """Decides on every content of a bucket, in the order of digests.

    Args:
      packed: The records, packed.
      plan: What `plan.make_plan` returned.
      fractions: Of the splits.
    """
    for found in copies_in_order(packed):
        copies = with_labels(found)
        kept, split, refused = resolve(copies, plan, fractions)
        yield Settled(kept, split, refused, len(found) - len(copies))


class Tally:
    """Counts what was settled."""

    def __init__(self, request: Request):
        self._request = request
        # (split, domain, value) -> how often it was used
        self._used: dict[tuple[str, str, Value], int] = collections.defaultdict(int)
        self._rejected: list[list[str]] = []
        self._duplicates = 0

    def add(self, one: Settled) -> None:
        """Counts the copies of one content."""
        for record in one.kept:
            self._used[one.split, record.domain or "", record.value] += 1
        if one.refused:
            self._rejected += [
                [record.file, record.label, str(reason), detail] for record, reason, detail in one.refused
            ]
        self._duplicates += one.dropped + max(len(one.kept) - 1, 0)

    def note(self) -> dict[str, Any]:
        """`counts` (split -> domain -> number of examples), `strata` (the same by class), `rejected`, `duplicates`."""
        counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        strata: dict[str, dict[str, collections.Counter[str]]] = {}
        for (split, domain, value), count in self._used.items():
            counts[split][domain] += count
            if domain == UNLABELLED:
                continue
            by_class = strata.setdefault(split, {}).setdefault(domain, collections.Counter())
            for stratum in self._request.target.strata(value):
                by_class[stratum] += count
        return {"counts": counts, "strata": strata, "rejected": self._rejected, "duplicates": self._duplicates}


def copies_in_order(packed: Iterable[bytes]) -> Iterator[list[Record]]:
    """The records with one digest together, digests in order, copies by file: an order that no listing decides."""
    fields = sorted(itertools.chain.from_iterable(map(unpack, packed)), key=_DIGEST)
    copies: list[Record] = []
    for record in map(Record._make, fields):
        if copies and copies[0].digest != record.digest:
            yield copies if len(copies) == 1 else sorted(copies, key=_FILE_AND_PLACE)
            copies = []
        copies.append(record)
    if copies:
        yield sorted(copies, key=_FILE_AND_PLACE)


def with_labels(copies: list[Record]) -> list[Record]:
    """Copies of one content without those that have no label, where another one has: it says the same and more."""
    if len(copies) == 1:
        return copies
    return [record for record in copies if record.domain != UNLABELLED] or copies


def resolve(
    copies: list[Record], plan: dict[bytes, str], fractions: SplitOptions
) -> tuple[list[Record], str, list[Refusal]]:
    """Decides between copies of one content, and whether they may stay.

    Copies under several labels are all refused, for nobody can say which label is right. Of copies in several splits
    those in the held-out one stay (test before eval before train): a training copy would leak. So it is with the
    examples of a group.

    Args:
      copies: Copies of one content, ordered.
      plan: What `plan.make_plan` returned.
      fractions: Of the splits.

    Returns:
      The records that stay, the split they are in, and the refused records with reason and detail.
    """
    if len(copies) == 1 and copies[0].named is None:  # nearly always
        return copies, plan.get(copies[0].unit) or _by_hash(copies[0].unit, fractions), []
    if len({record.value for record in copies}) > 1:
        labels = sorted({record.label for record in copies})
        files = ", ".join(f"{record.file} as {record.label}" for record in copies[:4])
        detail = f"same bytes under {', '.join(labels)}: {files}{', ...' if len(copies) > 4 else ''}"
        return [], "", [(record, Reason.LABEL_CONFLICT, detail) for record in copies]
    places = [plan.get(record.unit) or record.named or _by_hash(record.unit, fractions) for record in copies]
    winner = next(split for split in PRECEDENCE if split in places)
    # Where a training example is in a group with held-out ones, its name is not the split of its unit.
    stands = [record.named or place for record, place in zip(copies, places, strict=True)]
    kept = [record for record, split in zip(copies, stands, strict=True) if split == winner]
    group = next(record.group for record, place in zip(copies, places, strict=True) if place == winner)
    where = f"in {winner} as {kept[0].file}" if kept else f"its group {group!r} is in {winner}"
    refused = [
        (record, Reason.SPLIT_CONFLICT, f"in {split}, and {where}")
        for record, split in zip(copies, stands, strict=True)
        if split != winner
    ]
    return kept, winner, refused


def _by_hash(unit: bytes, fractions: SplitOptions) -> str:
    return assign_split(unit, eval_fraction=fractions.eval, test_fraction=fractions.test)
