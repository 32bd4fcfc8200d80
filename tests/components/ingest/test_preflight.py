"""The quick check: what it counts and what it refuses."""

import collections
import random

import pytest
from ingest_request import request

from graft.components.ingest import preflight
from graft.components.ingest.options import SplitOptions
from graft.components.ingest.plan import make_plan, take_census
from graft.components.ingest.preflight import check_source
from graft.components.ingest.splits import SPLITS, assign_split
from graft.models.errors import GraftError


def check(path, **data):
    return check_source(request(**({"source": "image_folder", "path": str(path)} | data)))


def test_counts_and_expected_splits(make_folder):
    root = make_folder({"cat": 40, "dog": 60})
    report = check(root)
    assert report.classes == {"cat": 40, "dog": 60}
    assert report.splits == {"train": 70, "eval": 15, "test": 15}
    assert report.paths == (str(root),) and report.complete


def test_named_splits_are_counted_as_named(make_folder, tmp_path):
    for split, count in (("train", 10), ("valid", 4), ("test", 6)):
        make_folder({"cat": count, "dog": count}, f"data/{split}")
    assert check(tmp_path / "data").splits == {"train": 20, "eval": 8, "test": 12}


def test_missing_path_is_named(tmp_path):
    with pytest.raises(GraftError, match=r"nowhere: No such file or directory; it must be a folder"):
        check(tmp_path / "nowhere")


def test_file_where_a_folder_is_due(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"1")
    with pytest.raises(GraftError, match="Not a directory"):
        check(tmp_path / "photo.png")


def test_empty_folder(tmp_path):
    with pytest.raises(GraftError, match="holds no folders; source image_folder needs one for each class"):
        check(tmp_path)


def test_empty_class_folders(make_folder):
    with pytest.raises(GraftError, match="no labelled image; each class is a folder"):
        check(make_folder({"cat": 0, "dog": 0}))


def test_one_class(make_folder):
    with pytest.raises(GraftError, match=r"one class only \('cat'\); at least 2 are needed"):
        check(make_folder({"cat": 9}))


def test_class_that_ingestion_rejects_is_not_counted(make_folder):
    root = make_folder({"cat": 9, "au\nlait": 9})
    with pytest.raises(GraftError, match=r"one class only \('cat'\).*; class name 'au\\nlait' holds a control"):
        check(root)
    assert set(check(make_folder({"dog": 9})).classes) == {"cat", "dog"}


def test_small_classes_are_told_and_what_they_reach_is_what_ingestion_does(make_folder, ingest):
    root = make_folder({"cat": 9, "dog": 1, "emu": 2, "fox": 3})
    report = check(root)
    assert report.unmeasured == {"dog": ["eval", "test"], "emu": ["eval"]}
    assert report.splits == {"train": 10, "eval": 2, "test": 3}
    assert ingest(source="image_folder", path=root).summary.unmeasured == report.unmeasured


def test_class_that_the_names_leave_out_of_train(make_folder, tmp_path):
    for split, more in (("train", {}), ("val", {}), ("test", {"emu": 2})):
        make_folder({"cat": 4, "dog": 4} | more, f"data/{split}")
    with pytest.raises(GraftError, match=r"'emu' has no image in train \(train 0, eval 0, test 2\)"):
        check(tmp_path / "data")


def test_class_that_the_names_leave_out_of_test(make_folder, tmp_path):
    for split, more in (("train", {"emu": 2}), ("val", {}), ("test", {})):
        make_folder({"cat": 4, "dog": 4} | more, f"data/{split}")
    assert check(tmp_path / "data").unmeasured == {"emu": ["eval", "test"]}


def test_no_class_is_large_enough_to_be_held_out(make_folder):
    with pytest.raises(GraftError, match=r"no image for split eval.*a class with at least 3 images"):
        check(make_folder({"cat": 2, "dog": 2}))


def test_split_that_stays_empty(make_folder):
    root = make_folder({"cat": 20, "dog": 20})
    with pytest.raises(GraftError, match="no image for split eval"):
        check(root, split={"eval": 0.0})
    make_folder({"cat": 20, "dog": 20}, "named/train")
    with pytest.raises(GraftError, match="no image for split eval"):
        check(make_folder({"cat": 20, "dog": 20}, "named/test").parent)


def test_class_names_that_match_nothing(make_folder):
    with pytest.raises(GraftError, match=r"no labelled image; target.class_names allows Cat, Dog"):
        check(make_folder({"cat": 9, "dog": 9}), target={"class_names": ["Cat", "Dog"]})


def test_real_photos(graft_data):
    report = check(graft_data / "trashnet")
    assert set(report.classes.values()) == {60} and len(report.classes) == 6


def test_what_small_classes_reach_is_what_the_plan_gives_them():
    rng = random.Random(0)
    for trial in range(500):
        fractions = SplitOptions(eval=rng.choice([0.0, 0.2]), test=rng.choice([0.0, 0.3]))
        names = [rng.choice([None, None, *SPLITS]) for _ in range(rng.randint(1, 5))]
        sightings = [(rng.randbytes(32), "cat", name) for name in names]
        plan = make_plan(take_census(sightings, fractions), fractions)
        shares = {"eval_fraction": fractions.eval, "test_fraction": fractions.test}
        found = {plan.get(unit) or name or assign_split(unit, **shares) for unit, _, name in sightings}
        options = request(source="csv", path="x", split=fractions)
        assert set(preflight._reached(options, collections.Counter(names))) == found, trial
