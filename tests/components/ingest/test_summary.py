"""The summary: its figures, and that it is read back as written."""

import json

import pytest

from graft.components.ingest.options import DataOptions
from graft.components.ingest.reasons import Reason
from graft.components.ingest.summary import Summary, check_classes
from graft.models.errors import GraftError

EVEN = {"train": {"a": 8, "b": 8}, "eval": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1}}
OPTIONS = DataOptions(source="image_folder", path="photos")


def summary(used=EVEN, rejected=None) -> Summary:
    return Summary(used, rejected or {}, 0, 1000, 2.0, 1, {})


def test_figures():
    one = summary(rejected={"corrupt": 3, "empty": 2})
    assert (one.used_count, one.rejected_count, one.total) == (20, 5, 25)
    assert one.rejected_fraction == 0.2 and one.rate == 12.5 and one.classes == ["a", "b"]
    check_classes(one, OPTIONS)


def test_nothing_at_all():
    empty = summary({"train": {}, "eval": {}, "test": {}})
    assert empty.rejected_fraction == 0.0
    with pytest.raises(GraftError, match=r"data.path 'photos': no usable image"):
        check_classes(empty, OPTIONS)


def test_class_that_eval_or_test_lacks_is_unmeasured(caplog):
    lacking = summary(EVEN | {"eval": {"a": 1}, "train": {"a": 8, "b": 8, "c": 1}})
    assert lacking.unmeasured == {"b": ["eval"], "c": ["eval", "test"]} and summary().unmeasured == {}
    check_classes(lacking, OPTIONS)
    assert "data.path 'photos': too few images to measure every class" in caplog.text
    assert "no image of 'b' in eval; 'c' in eval and test" in caplog.text


def test_class_that_train_lacks_is_named_with_its_counts():
    used = EVEN | {"train": {"a": 8}}
    with pytest.raises(GraftError, match=r"'b' has no image in train \(train 0, eval 1, test 1\).*data.split"):
        check_classes(summary(used), OPTIONS)


@pytest.mark.parametrize("split", ["train", "eval", "test"])
def test_empty_split_is_an_error_with_counts(split):
    with pytest.raises(GraftError, match=rf"train, eval and test need images \(.*{split} 0.*data.split"):
        check_classes(summary(EVEN | {split: {}}), OPTIONS)


def test_artifact(make_folder, ingest):
    root = make_folder({"cat": 40, "dog": 40})
    (root / "cat" / "bad.png").write_bytes(b"words")
    result = ingest(source="image_folder", path=root, max_pixels=1234)
    written = json.loads((result.rejected_folder / "summary.json").read_text())
    assert written["total"] == 81 and written["used_count"] == 80 and written["rejected"] == {"unknown_type": 1}
    assert written["limits"] == {"max_pixels": 1234, "max_bytes": 50_000_000}
    assert written["seconds"] > 0 and written["rate"] > 0 and written["peak_rss"] > 10**7
    assert written["bytes"] == sum(path.stat().st_size for path in root.glob("*/0*.png"))
    lines = (result.rejected_folder / "rejected.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": "cat/bad.png", "label": "cat", "reason": "unknown_type", "detail": "text"}
    ]


def test_every_reason_is_explained():
    assert all(reason.explanation for reason in Reason)
