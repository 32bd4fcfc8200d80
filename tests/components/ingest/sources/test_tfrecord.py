"""TFRecord of tf.Example: keys, compression, slices and damage."""

import gzip

import pytest
import tensorflow as tf
from ingest_request import request

from graft.components.ingest.preflight import check_source
from graft.models.errors import GraftError

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


# Features of a record beside image and label: no site, an empty one, two, one that is too long.
ODD_SITES = [{}, {"site": []}, {"site": [1, 2]}, {"site": b"x" * 1001}]


def example(**features) -> bytes:
    message = tf.train.Example()
    for name, value in features.items():
        feature = message.features.feature[name.replace("__", "/")]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, float):
            feature.float_list.value.append(value)
        else:
            feature.int64_list.value.extend(value if isinstance(value, list) else [value])
    return message.SerializeToString()


def write(path, records, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


def records(encode, count=120):
    for seed in range(count):
        yield example(image=encode(seed), label=(b"cat", b"dog")[seed % 2], site=seed % 3, box=[1, 2], night=0.5)


@pytest.mark.slow
def test_file_folder_pattern_and_compression(tmp_path, encode, ingest):
    plain = write(tmp_path / "a.tfrecord", records(encode))
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "b.tfrecord-00000-of-00002.gz", list(records(encode))[:70], "GZIP")
    write(folder / "b.tfrecord-00001-of-00002.gz", list(records(encode))[70:], "GZIP")
    (folder / "notes.txt").write_text("not this one")
    digests = [
        sorted(ingest(source="tfrecord", path=path).split_of("sha256").items())
        for path in (plain, folder, f"{folder}/b.*")
    ]
    assert len(digests[0]) == 120
    assert digests[0] == digests[1] == digests[2]


def test_names_and_slices(tmp_path, encode, ingest):
    result = ingest(source="tfrecord", path=write(tmp_path / "a.tfrecord", records(encode)), slices=["site"])
    row = result.rows("train")[0]
    assert row["file"].decode().startswith("a.tfrecord#")
    assert row["site"] in (b"0", b"1", b"2") and row["night"] == b"0.5"
    assert "box" not in row


def test_slice_that_a_record_lacks_or_has_several_times_is_empty(tmp_path, encode, ingest):
    rows = [
        *records(encode),
        *(example(image=encode(seed), label=b"cat", **odd) for seed, odd in enumerate(ODD_SITES, 500)),
    ]
    result = ingest(source="tfrecord", path=write(tmp_path / "a.tfrecord", rows), slices=["site"])
    found = [row["site"] for split in ("train", "eval", "test") for row in result.rows(split)]
    assert len(found) == 124 and found.count(b"") == 4 and set(found) == {b"", b"0", b"1", b"2"}


def test_other_keys_integer_labels_and_splits(tmp_path, encode, ingest):
    names = [b"train", b"val", b"test"]
    rows = [example(image__encoded=encode(i), y=i % 2, fold=names[i % 3]) for i in range(30)]
    columns = {"input": "image/encoded", "split": "fold"}
    path = write(tmp_path / "a.tfrecord", rows)
    result = ingest(source="tfrecord", path=path, columns=columns, target={"column": "y", "class_names": ["no", "yes"]})
    assert result.summary.used == {split: {"no": 5, "yes": 5} for split in ("train", "eval", "test")}


def test_records_without_image_or_label_are_rejected(tmp_path, encode, ingest):
    odd = [example(label=b"cat"), example(image=encode(900)), example(image=3, label=b"dog")]
    result = ingest(source="tfrecord", path=write(tmp_path / "a.tfrecord", [*records(encode), *odd]))
    assert [row["reason"] for row in result.rejected.values()] == ["unreadable", "unknown_label", "unreadable"]
    assert "there are label" in result.rejected["a.tfrecord#120"]["detail"]


def test_damaged_file_is_an_error_with_the_record(tmp_path, encode, ingest):
    path = write(tmp_path / "a.tfrecord", records(encode))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(GraftError, match=r"a.tfrecord: record 119 cannot be read: truncated record"):
        ingest(source="tfrecord", path=path)
    path.write_bytes(whole[:3000] + b"\0\0\0\0\0" + whole[3005:])
    with pytest.raises(GraftError, match=r"record \d+ cannot be read: corrupted record"):
        ingest(source="tfrecord", path=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [([], "holds no record"), ([b"\xff\xff words"], "record 0 is no tf.Example"), ([example(x=b"1")], "there are x")],
)
def test_content_that_is_none_of_ours(tmp_path, content, message):
    path = write(tmp_path / "a.tfrecord", content)
    with pytest.raises(GraftError, match=message):
        check_source(request(source="tfrecord", path=str(path)))


def test_other_files_and_empty_folders(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(gzip.compress(b"not records at all"))
    with pytest.raises(GraftError, match="record 0 cannot be read"):
        check_source(request(source="tfrecord", path=str(tmp_path / "a.tfrecord")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(GraftError, match=r"no TFRecord files there; it must be files with .tfrecord or"):
        check_source(request(source="tfrecord", path=str(tmp_path / "empty")))


def test_cifar10_of_tfx(graft_data, ingest):
    folders = graft_data / "tfx_examples" / "cifar10"
    path = next(path for path in sorted((folders / "train").iterdir()) if path.is_file())
    try:
        result = ingest(source="tfrecord", path=path, target={"class_names": CIFAR10}, split={"eval": 0.3, "test": 0.3})
    except GraftError as error:  # 128 images of 10 classes: one may be missing from a split
        assert "has no image in" in str(error)
    else:
        assert result.summary.used_count == 128
