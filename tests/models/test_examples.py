"""The one form of an example: what is built can be read by TensorFlow, and by `read_examples`."""

import pytest
import tensorflow as tf

from graft.models import examples
from graft.models.errors import GraftError

FACTS = {"width": 3, "height": 70_000, "format": "PNG"}


def build(label=("caf\u00e9",), content=b"\0bytes", file="a b\n.png", columns=None, **values):
    return examples.build(content, label, file, b"\x01" * 32, FACTS, columns or {}, **values)


def unpacked(record):
    features = tf.train.Example.FromString(record).features.feature
    return {name: list(getattr(f, f.WhichOneof("kind")).value) for name, f in features.items()}


def write(path, *records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


@pytest.mark.parametrize("size", [0, 1, 117, 127, 128, 129, 16_300, 16_384, 3_000_000])
def test_tensorflow_reads_what_is_built_whatever_its_length(size):
    content = bytes(size)
    found = unpacked(
        build(content=content, columns={"site": "north \u732b" * (size // 9 % 900), "none": ""}, group="p")
    )
    assert found["input"] == [content]
    assert found == {
        **{"input": [content], "label": ["caf\u00e9".encode()], "file": [b"a b\n.png"], "sha256": [b"01" * 32]},
        **{"width": [3], "height": [70_000], "format": [b"PNG"], "group": [b"p"]},
        **{"site": [("north \u732b" * (size // 9 % 900)).encode()], "none": [b""]},
    }


def test_equal_arguments_give_the_bytes_that_tensorflow_writes_when_it_keeps_an_order():
    record = build(("a", "b"), domain="target", weight=0.5)
    assert record == build(("a", "b"), domain="target", weight=0.5)
    known = tf.train.Example.FromString(record)
    assert len(known.SerializeToString()) == len(record)
    assert "group" not in known.features.feature


def test_labels_numbers_domain_and_weight_come_back(tmp_path):
    classes = write(
        tmp_path / "1", build(("a", "b"), domain="source"), build((), domain="target"), build(("b",), domain="source")
    )
    found = [row["label"] for row in examples.read_examples([classes], ("label",))]
    assert found == [("a", "b"), (), ("b",)]
    numbers = write(tmp_path / "2", build((0.5, -2.0), weight=0.25), build((1.0, 3.0), weight=2.0))
    assert list(examples.read_examples([numbers], ("label", "weight", "width", "domain"))) == [
        {"label": (0.5, -2.0), "weight": 0.25, "width": 3, "domain": None},
        {"label": (1.0, 3.0), "weight": 2.0, "width": 3, "domain": None},
    ]


def test_examples_without_a_domain_are_of_the_target_domain(tmp_path):
    pairs = [("a", "source"), ("b", "target"), ("c", "source")]
    path = write(tmp_path / "1", *(build(file=file, domain=domain) for file, domain in pairs))
    plain = write(tmp_path / "2", build(file="d"))

    def files(domain):
        return [row["file"].decode() for row in examples.read_examples([path, plain], ("file",), domain)]

    assert (files(None), files("target"), files("source")) == (["a", "b", "c", "d"], ["b", "d"], ["a", "c"])


def test_order_is_that_of_the_files_over_many_batches(tmp_path):
    paths = [
        write(tmp_path / str(part), *(build(file=f"{part}-{row}", content=bytes(row)) for row in range(300)))
        for part in range(2)
    ]
    rows = list(examples.read_examples(paths, ("file", "input")))
    assert [row["file"].decode() for row in rows] == [f"{part}-{row}" for part in range(2) for row in range(300)]
    assert [len(row["input"]) for row in rows] == [*range(300)] * 2


def test_missing_features_and_damaged_files_are_one_line(tmp_path):
    path = write(tmp_path / "1", build())
    with pytest.raises(GraftError, match="no feature 'site'; there are file, format, height, input"):
        list(examples.read_examples([path], ("site",)))
    cut = tmp_path / "2"
    cut.write_bytes((tmp_path / "1").read_bytes()[:-3])
    with pytest.raises(GraftError, match=r"2: damaged or cut .truncated record at 12.*run again with --from ingest"):
        list(examples.read_examples([str(cut)], ("file",)))
    with pytest.raises(GraftError, match="no shards of split 'train'"):
        examples.split_files(str(tmp_path), "train")
