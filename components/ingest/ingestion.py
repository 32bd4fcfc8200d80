"""Ingestion as a whole: a Beam pipeline over chunks, then a driver that proves the result and names it."""

import itertools
import logging
import pathlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np

from graft.components.ingest import buckets, resolving, shards, transforms
from graft.components.ingest.options import SplitOptions
from graft.components.ingest.plan import Census, make_plan, merge, take_census
from graft.components.ingest.records import pack, unpack
from graft.components.ingest.request import Request
from graft.components.ingest.spans import open_sources
from graft.components.ingest.splits import SPLITS
from graft.components.ingest.summary import Summary, check_counts, write_rejected
from graft.models.errors import GraftError

log = logging.getLogger(__name__)


def ingest(
    request: Request, examples_uri: str, rejected_uri: str, make_pipeline: Callable[[], beam.Pipeline]
) -> Summary:
    """Reads, checks, splits and writes all examples.

    Each file is read once. Memory holds a few examples a worker, whatever their number.

    Args:
      request: What to read, as what.
      examples_uri: Gets `Split-{train,eval,test}/data_tfrecord-NNNNN-of-MMMMM`.
      rejected_uri: Gets `rejected.jsonl` and `summary.json`.
      make_pipeline: Makes the Beam pipeline to run in.

    Returns:
      The counts, as written to `summary.json`.

    Raises:
      GraftError: There is nothing to read, a container is damaged, no example can be used, a split is empty, or the
        target cannot be learned from what there is.
    """
    start = time.monotonic()
    spans = open_sources(request)
    folder = shards.work_folder(examples_uri)
    for path in (folder, *(f"{examples_uri}/Split-{split}" for split in SPLITS)):
        shutil.rmtree(path, ignore_errors=True)  # of an attempt that was killed
    pathlib.Path(folder).mkdir(parents=True)
    transforms.Meter.reset(request.input.unit)
    with make_pipeline() as pipeline:
        records = (
            pipeline
            | "Sources" >> beam.Create([(number, source) for number, (_, source) in enumerate(spans)])
            | "ListChunks" >> beam.ParDo(transforms.ListChunks(folder))
            | "ShareOut" >> beam.GroupByKey()  # a chunk a key; a Reshuffle is five steps more
            | "WriteChunk" >> beam.ParDo(transforms.WriteChunk(request, folder))
            | "ByDigest" >> beam.GroupByKey()
        )
        plan = (
            records
            | "ListUnits" >> beam.FlatMap(_units, request)
            | "ByUnit" >> beam.GroupByKey()
            | "TakeCensus" >> beam.Map(_census, request.data.split)
            | "Together" >> beam.GroupByKey()  # a few from each worker; CombineGlobally is six steps more
            | "MakePlan" >> beam.Map(_plan, request.data.split)
        )
        exceptions = beam.pvalue.AsSingleton(plan, default_value={})
        _ = records | "WriteBucket" >> beam.ParDo(buckets.WriteBucket(request, folder), exceptions)
    for note in shards.read_notes(folder, "error-"):
        raise GraftError(note["message"])
    span = spans[-1][0]
    seconds, left_out = time.monotonic() - start, [source.left_out() for _, source in spans]
    summary = write_rejected(request, folder, rejected_uri, span=span, seconds=seconds, left_out=left_out)
    check_counts(summary, request)
    parts = shards.list_parts(folder)
    check_disjoint({split: [part.digests for part in found] for split, found in parts.items()})
    check_disjoint({split: [part.groups for part in found] for split, found in parts.items()}, "groups")
    shards.publish(examples_uri, parts)
    counts = (summary.used_count, request.input.unit, summary.rejected_count, summary.rate)
    log.info("%d %s used, %d rejected, %.0f a second", *counts)
    return summary


def _units(element: tuple[int, Iterable[bytes]], request: Request) -> Iterator[tuple[int, bytes]]:
    for bucket, sightings in resolving.list_units(element, request):
        yield bucket, pack(sightings)


def _census(element: tuple[int, Iterable[bytes]], fractions: SplitOptions) -> tuple[None, Census]:
    return None, take_census(itertools.chain.from_iterable(map(unpack, element[1])), fractions)


def _plan(element: tuple[None, Iterable[Census]], fractions: SplitOptions) -> dict[bytes, str]:
    return make_plan(merge(element[1]), fractions)


def check_disjoint(keys: dict[str, Sequence[bytes]], what: str = "examples") -> None:
    """Proves that nothing is in two splits.

    Args:
      keys: For each split, the sha256 of its contents or groups, 32 bytes each, in any number of pieces.
      what: What they are, for the message.

    Raises:
      RuntimeError: Something is in two splits, which would be a defect of ingestion.
    """
    # Half a digest tells contents apart as surely and takes half the memory.
    half = np.dtype([("high", ">u8"), ("low", ">u8"), ("rest", "V16")])
    sets = {}
    for split, parts in keys.items():
        rows = np.frombuffer(b"".join(parts), half)
        sets[split] = np.unique(rows[["high", "low"]].astype([("high", "u8"), ("low", "u8")]))
    names = list(sets)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = np.intersect1d(sets[first], sets[second], assume_unique=True)
            if len(shared):
                digest = "".join(f"{part:016x}" for part in shared[0])
                raise RuntimeError(f"splits {first} and {second} share {len(shared)} {what}, one is sha256 {digest}...")
