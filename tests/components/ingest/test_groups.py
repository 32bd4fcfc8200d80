"""Images of one group are in one split, whatever lists them and whatever the source's splits say."""

import collections
import hashlib

import pytest
import tensorflow as tf
from ingest_request import request

from graft.components.ingest.preflight import check_source
from graft.components.ingest.splits import assign_split
from graft.models.errors import GraftError


@pytest.fixture
def table(make_folder):
    """Writes a CSV of 120 images in 40 groups of three (cat, cat, dog), with the given cells for each image."""
    root = make_folder({"cat": 80, "dog": 40})
    cats, dogs = (sorted((root / label).iterdir()) for label in ("cat", "dog"))

    def write(header="path,label,patient", cells=lambda number, group: [f"p{group}"]):
        lines = [header]
        for number, path in enumerate([*cats, *dogs]):
            group = number // 2 if number < 80 else number - 80
            lines.append(",".join([str(path.relative_to(root)), path.parent.name, *cells(number, group)]))
        (root / "all.csv").write_text("\n".join(lines))
        return root / "all.csv"

    return write


def splits_by_group(result) -> dict[str, set[str]]:
    found = collections.defaultdict(set)
    for split in ("train", "eval", "test"):
        for row in result.rows(split):
            found[row["group"].decode()].add(split)
    return found


def test_a_group_is_in_the_split_of_its_hash(table, ingest):
    result = ingest(source="csv", path=table(), group="patient")
    found = splits_by_group(result)
    assert len(found) == 40 and result.summary.used_count == 120
    for group, splits in found.items():
        key = hashlib.sha256(group.encode()).digest()
        assert splits == {assign_split(key, eval_fraction=0.15, test_fraction=0.15)}
    assert {row["patient"] for row in result.rows("test")} == {row["group"] for row in result.rows("test")}


def test_without_the_key_groups_straddle_splits(table, ingest):
    result = ingest(source="csv", path=table())
    by_patient = collections.defaultdict(set)
    for split in ("train", "eval", "test"):
        for row in result.rows(split):
            by_patient[row["patient"]].add(split)
    assert any(len(splits) > 1 for splits in by_patient.values())


@pytest.mark.slow
def test_images_without_a_group_stand_for_themselves(table, ingest):
    path = table(cells=lambda number, group: ["" if group < 20 else f"p{group}"])
    with_groups = ingest(source="csv", path=path, group="patient")
    plain = ingest(source="csv", path=path).split_of()
    split_of = with_groups.split_of()
    alone = [row["file"].decode() for s in ("train", "eval", "test") for row in with_groups.rows(s) if not row["group"]]
    assert len(alone) == 60 and {file: split_of[file] for file in alone} == {file: plain[file] for file in alone}


def test_groups_that_straddle_named_splits_stay_in_the_held_out_one(table, ingest):
    def cells(number, group):
        named = ("train", "val", "test")[group % 3]
        return [f"p{group}", "train" if number >= 80 and group in (1, 2) else named]

    result = ingest(source="csv", path=table("path,label,patient,split", cells), group="patient")
    assert all(len(splits) == 1 for splits in splits_by_group(result).values())
    rows = result.rejected.values()
    assert {row["reason"] for row in rows} == {"split_conflict"}
    details = sorted(row["detail"] for row in rows)
    assert details == ["in train, and its group 'p1' is in eval", "in train, and its group 'p2' is in test"]


def test_images_without_a_split_join_their_group(table, ingest):
    def cells(number, group):
        return [f"p{group}", "" if number >= 80 else ("train", "val", "test")[group % 3]]

    result = ingest(source="csv", path=table("path,label,patient,split", cells), group="patient")
    assert not result.rejected and result.summary.used_count == 120
    assert all(len(splits) == 1 for splits in splits_by_group(result).values())


def test_few_groups_are_shared_out_whole(table, ingest):
    path = table(cells=lambda number, group: [f"burst {group % 4}"])
    result = ingest(source="csv", path=path, group="patient")
    assert all(set(labels) == {"cat", "dog"} for labels in result.summary.used.values())
    assert sorted(len(splits) for splits in splits_by_group(result).values()) == [1, 1, 1, 1]


def test_group_of_a_tfrecord_may_be_a_number_or_missing_but_no_list(tmp_path, encode, ingest):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for number in range(60):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image"].bytes_list.value.append(encode(number))
            feature["label"].bytes_list.value.append(b"cat" if number % 2 else b"dog")
            feature["slide"].int64_list.value.extend([number // 6] * (number % 59 > 0))
            if number == 30:
                feature["slide"].int64_list.value.append(9)
            writer.write(example.SerializeToString())
    result = ingest(source="tfrecord", path=tmp_path, group="slide")
    found = splits_by_group(result)
    assert set(found) == {"", *map(str, range(10))}
    assert all(len(splits) == 1 for group, splits in found.items() if group)
    (row,) = result.rejected.values()
    assert (row["file"], row["reason"]) == ("a.tfrecord#30", "bad_group")
    assert row["detail"] == "column 'slide' holds list [5, 9]"


def test_missing_column_is_named(table):
    options = request(source="csv", path=str(table()), group="slide")
    with pytest.raises(GraftError, match=r"no such column: data.group is 'slide'; there are label, path, patient"):
        check_source(options)
