"""Ingestion from end to end, with its checks and the cases where they fail."""

import hashlib
import json
import pathlib
import re

import pytest

from graft.components.ingest import ingestion, shards
from graft.models.errors import GraftError

COUNTS = {"cat": 60, "dog": 60}


def test_every_image_is_used_once_and_untouched(make_folder, ingest):
    root = make_folder(COUNTS)
    result = ingest(source="image_folder", path=root)
    rows = [row for split in ("train", "eval", "test") for row in result.rows(split)]
    assert len(rows) == 120
    for row in rows:
        encoded = (root / row["file"].decode()).read_bytes()
        assert row["input"] == encoded
        assert row["sha256"].decode() == hashlib.sha256(encoded).hexdigest()
        assert row["label"].decode() == row["file"].decode().split("/")[0]
        assert (row["width"], row["height"], row["format"]) == (8, 6, b"PNG")
    assert result.summary.used_count == 120
    assert result.summary.rejected == {}
    assert result.rejected == {}


def test_shards_are_named_as_tfx_names_them_and_nothing_else_is_left(make_folder, ingest):
    result = ingest(source="image_folder", path=make_folder(COUNTS))
    assert sorted(path.name for path in result.examples.iterdir()) == ["Split-eval", "Split-test", "Split-train"]
    for split in ("train", "eval", "test"):
        names = sorted(path.name for path in (result.examples / f"Split-{split}").iterdir())
        assert names == [f"data_tfrecord-{i:05d}-of-{len(names):05d}" for i in range(len(names))]


def test_split_fractions_are_kept(make_folder, ingest):
    result = ingest(source="image_folder", path=make_folder({"a": 300, "b": 300}), split={"eval": 0.3, "test": 0.2})
    assert abs(len(result.rows("eval")) - 180) < 45
    assert abs(len(result.rows("test")) - 120) < 40


@pytest.mark.slow
def test_adding_files_moves_no_image(make_folder, ingest):
    root = make_folder(COUNTS)
    before = ingest(source="image_folder", path=root).split_of()
    make_folder({"cat": 40, "dog": 10, "bird": 70}, first_seed=1000)
    after = ingest(source="image_folder", path=root).split_of()
    assert len(after) == 240
    assert {file: after[file] for file in before} == before


def test_renaming_and_copying_keep_the_split_and_copies_are_counted(make_folder, ingest):
    root = make_folder(COUNTS)
    for path in sorted((root / "cat").iterdir()):
        (root / "cat" / f"copy of {path.name}").write_bytes(path.read_bytes())
    result = ingest(source="image_folder", path=root)
    split_of = result.split_of()
    assert result.summary.duplicates == 60
    assert len(split_of) == 180
    for file, split in split_of.items():
        assert split_of[re.sub("copy of ", "", file)] == split


def test_same_image_under_two_labels_is_rejected_wherever_it_stands(make_folder, ingest, encode):
    root = make_folder(COUNTS)
    (root / "cat" / "both.png").write_bytes(encode(9999))
    (root / "dog" / "both.png").write_bytes(encode(9999))
    result = ingest(source="image_folder", path=root)
    assert {file: row["reason"] for file, row in result.rejected.items()} == {
        "cat/both.png": "label_conflict",
        "dog/both.png": "label_conflict",
    }
    assert "cat/both.png as cat, dog/both.png as dog" in result.rejected["cat/both.png"]["detail"]
    assert result.summary.used_count == 120
    assert hashlib.sha256(encode(9999)).hexdigest() not in result.split_of("sha256")


def test_copies_in_two_named_splits_stay_in_the_held_out_one(tmp_path, make_folder, ingest, encode):
    for split in ("train", "val", "test"):
        make_folder(COUNTS, f"data/{split}", {"train": 0, "val": 200, "test": 400}[split])
    leak = {"train": encode(7777), "val": encode(7777), "test": encode(7777)}
    for split, encoded in leak.items():
        (tmp_path / "data" / split / "cat" / "leak.png").write_bytes(encoded)
    result = ingest(source="image_folder", path=tmp_path / "data")
    assert {file: row["reason"] for file, row in result.rejected.items()} == {
        "train/cat/leak.png": "split_conflict",
        "val/cat/leak.png": "split_conflict",
    }
    assert result.split_of()["test/cat/leak.png"] == "test"
    assert result.summary.used == {
        split: COUNTS | {"cat": 60 + (split == "test")} for split in ("train", "eval", "test")
    }


def test_a_shard_that_loses_all_its_images_is_dropped(tmp_path, make_folder, ingest, encode):
    make_folder({"cat": 40, "dog": 40})
    # 30 conflicts, each in a folder of its own chunk or not: what is left must be whole.
    for seed in range(5000, 5030):
        (tmp_path / "data" / "cat" / f"{seed}.png").write_bytes(encode(seed))
        (tmp_path / "data" / "dog" / f"{seed}.png").write_bytes(encode(seed))
    result = ingest(source="image_folder", path=tmp_path / "data")
    assert result.summary.rejected == {"label_conflict": 60}
    assert len(result.split_of()) == 80 == result.summary.used_count


def test_splits_that_share_an_image_are_refused():
    one, two = (hashlib.sha256(text).digest() for text in (b"1", b"2"))
    ingestion.check_disjoint({"train": [one], "eval": [two], "test": [b""]})
    with pytest.raises(RuntimeError, match="train and test share 1 examples"):
        ingestion.check_disjoint({"train": [one], "eval": [], "test": [two + one]})
    with pytest.raises(RuntimeError, match="eval and test share 2 groups"):
        ingestion.check_disjoint({"train": [b""], "eval": [two, one], "test": [two + one, one]}, "groups")


@pytest.mark.slow
def test_result_is_the_same_on_every_run(make_folder, ingest):
    root = make_folder(COUNTS)
    first, second = (ingest(source="image_folder", path=root) for _ in range(2))
    for split in ("train", "eval", "test"):
        assert first.rows(split) == second.rows(split)


def test_leftovers_of_a_killed_attempt_do_no_harm(make_folder, ingest, tmp_path):
    root = make_folder(COUNTS)
    work = pathlib.Path(shards.work_folder(str(tmp_path / "examples-1")))
    train = tmp_path / "examples-1" / "Split-train"
    for folder in (work, train):
        folder.mkdir(parents=True)
    for path in (work / "chunk-000-000099.tfrecord", work / "error-000.json", train / "data_tfrecord-00000-of-9"):
        path.write_bytes(b"half written")
    assert len(ingest(source="image_folder", path=root).split_of()) == 120


def test_only_unusable_images_is_an_error_with_the_reasons(make_folder, ingest):
    root = make_folder({"cat": 0, "dog": 0})
    (root / "cat" / "empty.png").write_bytes(b"")
    (root / "dog" / "note.png").write_bytes(b"hello")
    with pytest.raises(GraftError, match=r"no usable image.*1 empty .*1 unknown_type"):
        ingest(source="image_folder", path=root)


def test_one_usable_class_is_an_error(make_folder, ingest):
    root = make_folder({"cat": 30, "dog": 0})
    (root / "dog" / "broken.png").write_bytes(b"hello")
    with pytest.raises(GraftError, match=r"one class only .'cat'.*1 unknown_type"):
        ingest(source="image_folder", path=root)


@pytest.mark.slow
def test_a_small_class_is_in_every_split(make_folder, ingest):
    for seed in range(10_000, 10_500, 100):  # five sets of five classes of ten: without help nearly all miss a split
        root = make_folder(dict.fromkeys("abcde", 10), f"data-{seed}", first_seed=seed)
        result = ingest(source="image_folder", path=root)
        assert all(set(labels) == set("abcde") for labels in result.summary.used.values())
        assert result.summary.used_count == 50 and result.summary.unmeasured == {}


def test_a_class_that_cannot_be_measured_is_learned_and_named(make_folder, ingest, caplog):
    result = ingest(source="image_folder", path=make_folder({"cat": 60, "dog": 60, "emu": 1}))
    assert result.summary.unmeasured == {"emu": ["eval", "test"]}
    assert result.summary.used["train"]["emu"] == 1
    assert json.loads((result.rejected_folder / "summary.json").read_text())["unmeasured"] == result.summary.unmeasured
    assert "no image of 'emu' in eval and test" in caplog.text


def test_a_class_that_cannot_be_learned_is_an_error_with_counts(make_folder, ingest, tmp_path):
    for split in ("train", "val", "test"):
        make_folder(
            COUNTS | ({"emu": 4} if split == "test" else {}), f"data/{split}", {"train": 0, "val": 200}.get(split, 400)
        )
    with pytest.raises(GraftError, match=r"'emu' has no image in train \(train 0, eval 0, test 4\)"):
        ingest(source="image_folder", path=tmp_path / "data")


def test_labels_outside_class_names_are_rejected(make_folder, ingest):
    root = make_folder(COUNTS | {"cta": 2})
    result = ingest(source="image_folder", path=root, target={"class_names": ["cat", "dog"]})
    assert result.summary.rejected == {"unknown_label": 2}
    assert "'cta' is not in target.class_names (cat, dog)" in next(iter(result.rejected.values()))["detail"]


@pytest.mark.slow
def test_splits_of_the_source_can_be_ignored_or_split_once_more(make_folder, ingest, tmp_path):
    make_folder(COUNTS, "data/train")
    make_folder(COUNTS, "data/test", 500)
    with pytest.raises(GraftError, match=r"train, eval and test need images .train 120, eval 0, test 120."):
        ingest(source="image_folder", path=tmp_path / "data")
    once_more = ingest(source="image_folder", path=tmp_path / "data", split={"test": 0, "from_train": True}).split_of()
    assert {split for file, split in once_more.items() if file.startswith("test/")} == {"test"}
    assert {split for file, split in once_more.items() if file.startswith("train/")} == {"train", "eval"}
    ignored = ingest(source="image_folder", path=tmp_path / "data", columns={"split": None}).split_of()
    assert {split for file, split in ignored.items() if file.startswith("test/")} == {"train", "eval", "test"}


def test_progress_is_reported(make_folder, ingest):
    from graft.models import progress

    calls = []
    previous = progress.set_sink(lambda *call: calls.append(call))
    try:
        ingest(source="image_folder", path=make_folder(COUNTS))
    finally:
        progress.set_sink(previous)
    assert calls[-1] == ("ingest", 120, 120, "images", {"rejected": 0})
