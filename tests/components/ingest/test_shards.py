"""Shards: whole or not there, whatever happens while they are written, and joined by content alone."""

import hashlib
import pathlib

import pytest
import tensorflow as tf

from graft.components.ingest import shards
from graft.components.ingest.records import Record


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def write_chunk(folder, chunk: str, *texts: bytes, group: str = "") -> list[Record]:
    with shards.ShardWriter(str(folder), chunk) as writer:
        places = [writer.write(text) for text in texts]
    return [
        Record(hashlib.sha256(text).digest(), ("cat",), group, None, None, len(text), chunk, *place, "file")
        for text, place in zip(texts, places, strict=True)
    ]


def write_part(folder, bucket: int, *rows: tuple[str, Record]) -> dict:
    """Copies records into parts; returns the note."""
    with shards.ShardReader(str(folder)) as reader, shards.PartWriter(str(folder), bucket) as writer:
        for split, record in rows:
            writer.write(split, record, reader.read(record))
    return writer.note()


def test_working_shard_appears_at_the_end(tmp_path):
    with shards.ShardWriter(str(tmp_path), "chunk-0") as writer:
        assert [writer.write(b"one"), writer.write(b"three")] == [(0, 19), (19, 21)]
        assert "chunk-0.tfrecord" not in names(tmp_path)
    assert read(tmp_path / "chunk-0.tfrecord") == [b"one", b"three"]
    assert names(tmp_path) == ["chunk-0.tfrecord"]


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), shards.ShardWriter(str(tmp_path), "chunk-0") as writer:
        writer.write(b"one")
        raise KeyError
    assert names(tmp_path) == []
    (one,) = write_chunk(tmp_path, "chunk-0", b"one")
    with pytest.raises(KeyError), shards.PartWriter(str(tmp_path), 3) as writer:
        writer.write("train", one, b"frame")
        raise KeyError
    assert names(tmp_path) == ["chunk-0.tfrecord"]


def test_a_repeated_bundle_replaces(tmp_path):
    for text in (b"first", b"again"):
        write_chunk(tmp_path, "chunk-0", text)
    assert read(tmp_path / "chunk-0.tfrecord") == [b"again"]
    assert len(names(tmp_path)) == 1


def test_parts_hold_the_records_in_the_order_of_copying_with_their_keys(tmp_path):
    one, two = write_chunk(tmp_path, "chunk-0", b"one", b"two", group="p1")
    (three,) = write_chunk(tmp_path, "chunk-1", b"three")
    note = write_part(tmp_path, 3, ("train", three), ("train", one), ("test", two))
    shards.write_note(str(tmp_path), "bucket-003", {"parts": note})
    parts = shards.list_parts(str(tmp_path))
    (train,), (test,) = parts["train"], parts["test"]
    assert parts["eval"] == []
    assert read(train.path) == [b"three", b"one"] and read(test.path) == [b"two"]
    assert train.digests == three.digest + one.digest and train.groups == hashlib.sha256(b"p1").digest()
    assert (train.size, test.size) == (8, 3)


def test_a_working_shard_that_was_cut_is_no_silent_loss(tmp_path):
    (one,) = write_chunk(tmp_path, "chunk-0", b"one")
    with (tmp_path / "chunk-0.tfrecord").open("r+b") as file:
        file.truncate(9)
    with pytest.raises(RuntimeError, match="9 of 19 bytes at 0"), shards.ShardReader(str(tmp_path)) as reader:
        reader.read(one)


def test_more_working_shards_than_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_MOST_OPEN", 2)
    texts = [f"text {n}".encode() for n in range(5)]
    records = [write_chunk(tmp_path, f"chunk-{n}", text)[0] for n, text in enumerate(texts)]
    write_part(tmp_path, 0, *(("train", record) for record in [*records, *records]))
    assert read(tmp_path / "bucket-000.train") == texts * 2


def test_parts_are_joined_until_they_are_worth_a_file_and_large_ones_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 10)
    work = pathlib.Path(shards.work_folder(str(tmp_path)))
    work.mkdir()
    parts = []
    for number, text in enumerate([b"1234", b"12345", b"1", b"0123456789abc", b"12"]):
        (record,) = write_chunk(work, f"chunk-{number}", text)
        write_part(work, number, ("train", record))
        parts.append(shards.Part(str(work / f"bucket-{number:03d}.train"), len(text), b"", b""))
    assert [[part.size for part in shard] for shard in shards.join(parts)] == [[4, 5, 1], [13], [2]]
    inode = pathlib.Path(parts[3].path).stat().st_ino
    shards.publish(str(tmp_path), {"train": parts, "eval": []})
    train = tmp_path / "Split-train"
    assert names(tmp_path) == ["Split-eval", "Split-train"]
    assert names(train) == [f"data_tfrecord-{n:05d}-of-00003" for n in range(3)]
    assert [read(path) for path in sorted(train.iterdir())] == [[b"1234", b"12345", b"1"], [b"0123456789abc"], [b"12"]]
    assert (train / "data_tfrecord-00001-of-00003").stat().st_ino == inode
    assert names(tmp_path / "Split-eval") == []


def test_notes_are_read_by_prefix_in_order(tmp_path):
    for name in ("chunk-2", "chunk-1", "error-0"):
        shards.write_note(str(tmp_path), name, {"name": name})
    assert [note["name"] for note in shards.read_notes(str(tmp_path), "chunk-")] == ["chunk-1", "chunk-2"]


def test_a_uri_with_odd_characters_works(tmp_path):
    folder = tmp_path / "odd [1] *"
    folder.mkdir()
    shards.write_note(str(folder), "chunk-1", {"a": 1})
    assert list(shards.read_notes(str(folder), "chunk-")) == [{"a": 1}]
