"""Shards: whole or not there, whatever happens while they are written."""

import pathlib

import pytest

from components.ingest import shards


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_shards_appear_at_the_end(tmp_path):
    with shards.ShardWriter(str(tmp_path), "chunk-0") as writer:
        assert [writer.write("train", b"a" * 32, b"one"), writer.write("train", b"b" * 32, b"two")] == [0, 1]
        assert writer.write("test", b"c" * 32, b"three") == 0
        assert not any(name.endswith(".tfrecord") for name in names(tmp_path))
    train, test = (shards.shard_path(str(tmp_path), "chunk-0", split) for split in ("train", "test"))
    assert list(shards.read_shard(train)) == [b"one", b"two"] and list(shards.read_shard(test)) == [b"three"]
    assert shards.digests(train) == b"a" * 32 + b"b" * 32
    assert len(names(tmp_path)) == 4


def test_failure_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), shards.ShardWriter(str(tmp_path), "chunk-0") as writer:
        writer.write("train", b"a" * 32, b"one")
        raise KeyError
    assert names(tmp_path) == []


def test_a_repeated_bundle_replaces(tmp_path):
    for text in (b"first", b"again"):
        with shards.ShardWriter(str(tmp_path), "chunk-0") as writer:
            writer.write("train", b"a" * 32, text)
    assert list(shards.read_shard(shards.shard_path(str(tmp_path), "chunk-0", "train"))) == [b"again"]
    assert len(names(tmp_path)) == 2


def test_clean_copies_take_the_place_and_empty_ones_vanish(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    for chunk in ("chunk-0", "chunk-1", "chunk-2"):
        with shards.ShardWriter(str(folder), chunk) as writer:
            writer.write("train", chunk.encode() * 4, chunk.encode())
    with shards.ShardWriter(str(folder), "chunk-0", clean=True) as writer:
        writer.write("train", b"x" * 32, b"cleaned")
    with shards.ShardWriter(str(folder), "chunk-1", clean=True) as writer:
        writer.open("train")
    kept = shards.final_shards(str(folder))
    assert [list(shards.read_shard(path)) for path in kept["train"]] == [[b"cleaned"], [b"chunk-2"]]
    assert kept["eval"] == kept["test"] == []


def test_notes_are_read_by_prefix_in_order(tmp_path):
    for name in ("chunk-2", "chunk-1", "error-0"):
        shards.write_note(str(tmp_path), name, {"name": name})
    assert [note["name"] for note in shards.read_notes(str(tmp_path), "chunk-")] == ["chunk-1", "chunk-2"]


def test_a_uri_with_odd_characters_works(tmp_path):
    folder = tmp_path / "odd [1] *"
    folder.mkdir()
    shards.write_note(str(folder), "chunk-1", {"a": 1})
    assert list(shards.read_notes(str(folder), "chunk-")) == [{"a": 1}]
