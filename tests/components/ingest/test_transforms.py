"""Labels and splits that are refused, and the example that is written."""

import pytest
import tensorflow as tf

from graft.components.ingest import transforms
from graft.components.ingest.header import Header, Refused
from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.sources.base import Item
from graft.models.errors import GraftError


@pytest.mark.parametrize(
    ("label", "split", "reason"),
    [("", None, Reason.UNKNOWN_LABEL), ("bird", None, Reason.UNKNOWN_LABEL), ("cat", "holdout", Reason.BAD_SPLIT)],
)
def test_labels_and_splits_that_are_refused(label, split, reason):
    options = DataOptions(source="csv", path="x", class_names=["cat", "dog"])
    transforms.check_label(Item("a", "cat", "train"), options)
    with pytest.raises(Refused) as refused:
        transforms.check_label(Item("a", label, split), options)
    assert refused.value.reason is reason


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\t", "\x0b", "\x1c", "\x85", "\u2028", "\u2029", "\ud800"])
def test_class_names_that_are_no_line_of_text_are_refused(character):
    item = Item("a\nb.png", f"tea{character}pot", "train")
    with pytest.raises(Refused, match=r"class name 'tea\\.*pot' holds .*; it must be one line") as refused:
        transforms.check_label(item, DataOptions(source="csv", path="x"))
    assert refused.value.reason is Reason.BAD_LABEL
    transforms.check_label(Item("a", "T-shirt / caf\u00e9 \u732b"), DataOptions(source="csv", path="x"))


def test_source_that_reads_no_groups_is_not_taken_for_images_without_one():
    options = DataOptions(source="csv", path="x", group="patient")
    with pytest.raises(GraftError, match=r"data.group is 'patient', but source csv gives a\.png no group"):
        transforms.check_label(Item("a.png", "cat"), options)
    transforms.check_label(Item("a.png", "cat", group=""), options)


def test_example():
    item = Item("a b\n.png", "caf\\xe9", encoded=b"bytes", slices={"site": "north \u732b", "none": ""})
    example = tf.train.Example.FromString(transforms.make_example(item, Header("PNG", 3, 4, 12), b"\x01" * 32))
    feature = example.features.feature
    assert feature["input"].bytes_list.value[0] == b"bytes"
    assert feature["file"].bytes_list.value[0] == b"a b\n.png"
    assert feature["label"].bytes_list.value[0] == b"caf\\xe9"
    assert feature["sha256"].bytes_list.value[0] == b"01" * 32
    assert (feature["width"].int64_list.value[0], feature["height"].int64_list.value[0]) == (3, 4)
    assert feature["format"].bytes_list.value[0] == b"PNG"
    assert feature["site"].bytes_list.value[0] == "north \u732b".encode()
    assert feature["none"].bytes_list.value[0] == b""
    assert "group" not in feature


def test_group_is_a_feature_where_a_column_is_named():
    for group in ("p 1", ""):
        item = Item("a.png", "cat", encoded=b"bytes", group=group)
        example = tf.train.Example.FromString(transforms.make_example(item, Header("PNG", 3, 4, 12), b"\x01" * 32))
        assert example.features.feature["group"].bytes_list.value[0] == group.encode()
