"""Several labels and numbers in place of one label: values, counts, conflicts, and sources that cannot give them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from ingest_request import request

from graft.components.ingest.preflight import check_source
from graft.models import examples
from graft.models.errors import GraftError

LABELS = {"kind": "labels", "column": "tags"}
NUMBERS = {"kind": "numbers", "columns": ["size", "age"]}
SPLITS = ("train", "eval", "test")


def tags(number: int) -> list[str]:
    return [name for name, every in (("red", 2), ("round", 3), ("ripe", 5)) if number % every == 0]


@pytest.fixture
def table(make_folder):
    """table(row) -> a CSV of 90 images; `row` gives what follows the path."""
    root = make_folder({"all": 90})

    def write(header, row, *lines):
        paths = sorted(root.glob("*/*.png"))
        rows = [f"{path.relative_to(root)},{row(number)}" for number, path in enumerate(paths)]
        (root / "table.csv").write_text("\n".join([f"path,{header}", *rows, *lines]) + "\n")
        return root / "table.csv"

    return write


def values(result) -> dict[int, tuple]:
    """Number of the image -> its label, over all splits."""
    found = {}
    for split in SPLITS:
        for row in examples.read_examples(examples.split_files(str(result.examples), split), ("file", "label")):
            found[int(row["file"].decode().rpartition("/")[2][:5])] = row["label"]
    return found


def test_several_labels_are_counted_in_each_of_their_classes(table, ingest):
    path = table("tags", lambda number: " | ".join(tags(number)))
    result = ingest(source="csv", path=path, target=LABELS)
    assert {number: set(label) for number, label in values(result).items()} == {n: set(tags(n)) for n in range(90)}
    summary = result.summary
    assert summary.used_count == 90 and sum(summary.counts.values()) == 90
    assert {name: sum(summary.used[split].get(name, 0) for split in SPLITS) for name in ("red", "round", "ripe")} == {
        **{"red": 45, "round": 30, "ripe": 18}
    }
    assert summary.classes == ["red", "ripe", "round"] and not summary.unmeasured
    assert check_source(request(source="csv", path=str(path), target=LABELS)).classes["red"] == 45


def test_lists_and_names_that_the_source_brings(encode, ingest, tmp_path):
    names = ["red", "round", "ripe"]
    lists = [[names.index(name) for name in tags(number)] for number in range(60)]
    table = pa.table({"image": [encode(seed) for seed in range(60)], "tags": lists})
    feature = {"_type": "Sequence", "feature": {"_type": "ClassLabel", "names": names}}
    info = json.dumps({"info": {"features": {"tags": feature}}})
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), tmp_path / "a.parquet")
    assert ingest(source="parquet", path=tmp_path, target=LABELS).summary.classes == ["red", "ripe", "round"]


def test_all_labels_of_a_record_are_read(encode, ingest, tmp_path):
    many = [f"class {number:02d}" for number in range(40)]
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for seed in range(60):
            example = tf.train.Example()
            example.features.feature["image"].bytes_list.value.append(encode(seed))
            example.features.feature["tags"].bytes_list.value.extend(name.encode() for name in many)
            writer.write(example.SerializeToString())
    assert ingest(source="tfrecord", path=tmp_path, target=LABELS).summary.classes == many


def test_numbers_are_kept_as_they_are(table, ingest):
    path = table("size,age", lambda number: f"{number / 8},{-number}")
    result = ingest(source="csv", path=path, target=NUMBERS)
    assert values(result) == {number: (number / 8, -number) for number in range(90)}
    assert result.summary.classes == [] and result.summary.used["train"] == {"": result.summary.counts["train"]}
    report = check_source(request(source="csv", path=str(path), target=NUMBERS))
    assert report.classes == {} and report.splits == {"train": 62, "eval": 14, "test": 14}


def test_what_is_no_number_is_refused_with_its_row(table, ingest):
    path = table("size,age", lambda number: f"{'' if number == 3 else 'nan' if number == 4 else 1},2")
    result = ingest(source="csv", path=path, target=NUMBERS)
    assert set(result.rejected) == {"all/00003.png", "all/00004.png"}
    assert all(result.summary.reasons[code] != code for code in result.summary.rejected)


@pytest.mark.parametrize(
    ("target", "header", "same", "other", "told"),
    [
        (LABELS, "tags", "red|ripe", "red", "same bytes under red, red, ripe"),
        (NUMBERS, "size,age", "1,2", "1,2.5", "same bytes under 1, 2, 1, 2.5"),
    ],
)
def test_the_same_content_with_another_value_is_a_conflict(table, ingest, target, header, same, other, told):
    # In another order, or written in another way, it is the same value.
    again = "ripe|red" if same.startswith("red") else "1.0,2e0"
    lines = [f"all/00001.png,{again}", f"all/00002.png,{other}"]
    result = ingest(source="csv", path=table(header, lambda _: same, *lines), target=target)
    assert {row["reason"] for row in result.rejected.values()} == {"label_conflict"}
    assert set(result.rejected) == {"all/00002.png"} and result.summary.duplicates == 1
    assert result.rejected["all/00002.png"]["detail"].startswith(told)


@pytest.mark.parametrize("target", [LABELS, NUMBERS], ids=["labels", "numbers"])
def test_sources_without_columns_give_one_name_only(target):
    with pytest.raises(GraftError, match=r"data.source image_folder gives a name for each example and no columns"):
        request(source="image_folder", path="x", target=target)


def test_columns_of_numbers_are_needed_by_name(table, ingest):
    with pytest.raises(GraftError, match=r"target.columns.* is 'age'; there are path, size"):
        ingest(source="csv", path=table("size", lambda _: "1"), target=NUMBERS)
