"""TFRecord framing: what TensorFlow writes is read, and no length is believed."""

import gzip
import os
import tracemalloc

import pytest
import tensorflow as tf
from tfrecords import header

from graft.models.tfrecord_file import FRAME, DamagedError, TooLong, framed, read_records, record_at

RECORDS = [b"", b"a", b"words " * 50, bytes(3000)]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "a.tfrecord")


def put(path: str, content: bytes) -> str:
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(content)
    return path


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_what_tensorflow_writes_is_read(path, compression):
    with tf.io.TFRecordWriter(path, compression) as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(read_records(path, 10_000)) == RECORDS
    assert list(read_records(path, 300)) == [*RECORDS[:3], TooLong(3000)]
    assert list(read_records(path, 299)) == [*RECORDS[:2], TooLong(300), TooLong(3000)]


def test_a_record_is_read_where_it_begins(path):
    put(path, b"".join(framed(record) for record in RECORDS))
    begin = 0
    for record in RECORDS:
        assert record_at(path, begin, 10_000) == record
        begin += FRAME + len(record)
    assert record_at(path, begin - FRAME - 3000, 2999) == TooLong(3000)
    for wrong, said in ((1, "corrupted record at 1"), (begin, f"no record at {begin}"), (begin - 2, "truncated")):
        with pytest.raises(DamagedError, match=said):
            record_at(path, wrong, 10_000)


@pytest.mark.parametrize("length", [0x8B1F, 0x8B1F + 2**16, 0x088B1F])
def test_a_length_that_begins_like_a_gzip(path, length):
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(bytes(length))
    assert open(path, "rb").read(2) == b"\x1f\x8b"  # noqa: PTH123, SIM115
    assert [len(record) for record in read_records(path, 2**20)] == [length]


def test_a_gzip_of_several_members(path):
    parts = []
    for record in RECORDS:
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            writer.write(record)
        with open(path, "rb") as file:  # noqa: PTH123
            parts.append(file.read())
    assert list(read_records(put(path, b"".join(parts)), 10_000)) == RECORDS


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("length", [2**60, 2**64 - 1, 2**40, 101])
def test_a_length_that_the_file_does_not_hold(path, pack, length):
    put(path, pack(header(length) + b"x" * 100))
    with pytest.raises(DamagedError, match=r"truncated record at 12: \d+ bytes were to follow, 100 do"):
        list(read_records(path, 200))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_cut_and_every_changed_byte_is_told(path, pack):
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"some words")
    with open(path, "rb") as file:  # noqa: PTH123
        whole = file.read()
    for end in range(1, len(whole)):
        with pytest.raises(DamagedError, match="truncated record at"):
            list(read_records(put(path, pack(whole[:end])), 200))
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(DamagedError, match="corrupted record at"):
            list(read_records(put(path, pack(bytes(changed))), 200))


def test_a_damaged_gzip(path):
    packed = gzip.compress(header(100) + os.urandom(104))
    for content in (packed[:-20], packed[:40] + b"\xff" * 10 + packed[50:], packed[:12]):
        with pytest.raises(DamagedError):
            list(read_records(put(path, content), 200))


@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_unpacked(path):
    """100 kB that hold a record of 100 MB."""
    put(path, gzip.compress(header(10**8) + bytes(10**8 + 4)))
    tracemalloc.start()
    assert list(read_records(path, 10**6)) == [TooLong(10**8)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**7


def test_records_without_end(path):
    """A gzip of a million empty records takes some kilobytes."""
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"")
    with open(path, "rb") as file:  # noqa: PTH123
        empty = file.read()
    put(path, gzip.compress(empty * 10**6))
    with pytest.raises(DamagedError, match=r"there are more than \d+, which \d+ bytes cannot hold"):
        for record in read_records(path, 200):
            assert record == b""
    assert sum(1 for _ in read_records(put(path, gzip.compress(empty * 4096)), 200)) == 4096


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, message in ((tmp_path / "fifo", "is a FIFO"), (tmp_path, "is a folder"), (tmp_path / "no", "No such")):
        with pytest.raises(OSError) as error:
            list(read_records(str(path), 200))
        assert message in error.value.strerror
