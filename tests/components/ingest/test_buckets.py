"""The order in which a bucket is written."""

import random

import tensorflow as tf
from ingest_request import request

from graft.components.ingest import buckets, shards
from graft.components.ingest.records import Record, pack

REQUEST = request(source="csv", path="x")


def record(file, digest, chunk, offset, length):
    return Record(digest, ("cat",), "", None, None, 5, chunk, offset, length, file)


def test_a_bucket_is_written_by_digest_then_file_whatever_the_order(tmp_path):
    records, images = [], [(bytes([7, n]) * 16, f"{file}.png") for n in (0, 5, 2, 9) for file in "ba"]
    for chunk in ("chunk-0", "chunk-1"):
        with shards.ShardWriter(str(tmp_path), chunk) as writer:
            for digest, file in images:
                where = writer.write(f"{digest.hex()} {chunk} {file}".encode())
                records.append(record(f"{chunk}/{file}", digest=digest, chunk=chunk, offset=where[0], length=where[1]))
    whole = set()
    write = buckets.WriteBucket(REQUEST, str(tmp_path))
    write.setup()
    for seed in range(3):
        random.Random(seed).shuffle(records)
        write.process((1, [pack(records[:5]), pack(records[5:])]), {})
        (part,) = shards.list_parts(str(tmp_path))["test"]
        found = [record.decode().split() for record in tf.data.TFRecordDataset(part.path).as_numpy_iterator()]
        assert found == sorted(found) and len(found) == 16
        assert part.digests == b"".join(bytes.fromhex(digest) for digest, _, _ in found)
        whole.add(tuple(map(tuple, found)))
    write.teardown()
    assert len(whole) == 1
    (note,) = shards.read_notes(str(tmp_path), "bucket-")
    assert (
        note["strata"] == {"test": {"": {"cat": 16}}}
        and note["counts"] == {"test": {"": 16}}
        and note["duplicates"] == 12
        and note["rejected"] == []
    )
