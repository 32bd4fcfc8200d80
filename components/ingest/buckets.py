"""The last global step of ingestion: each bucket of digests is resolved and written."""

from collections.abc import Iterable

import apache_beam as beam

from graft.components.ingest import shards
from graft.components.ingest.request import Request
from graft.components.ingest.resolving import Tally, settled


class WriteBucket(beam.DoFn):
    """(bucket of digests, packed records), plan -> nothing: writes the bucket's part of each split, and a note."""

    def __init__(self, request: Request, folder: str):
        self._request = request
        self._folder = folder

    def setup(self) -> None:
        self._shards = shards.ShardReader(self._folder)

    def teardown(self) -> None:
        self._shards.close()

    def process(self, element: tuple[int, Iterable[bytes]], plan: dict[bytes, str]) -> Iterable[None]:
        bucket, packed = element
        tally, read = Tally(self._request), self._shards.read
        with shards.PartWriter(self._folder, bucket) as writer:
            for one in settled(packed, plan, self._request.data.split):
                for record in one.kept:
                    writer.write(one.split, record, read(record))
                tally.add(one)
        shards.write_note(self._folder, f"bucket-{bucket:03d}", tally.note() | {"parts": writer.note()})
        return ()
