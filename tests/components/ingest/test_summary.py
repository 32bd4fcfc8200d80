"""The summary: its figures, and that it is read back as written."""

import dataclasses
import json

import pytest
from ingest_request import request

from graft.components.ingest import reasons
from graft.components.ingest.summary import Summary, check_counts, read_summary
from graft.models.errors import GraftError

EVEN = {"train": {"a": 8, "b": 8}, "eval": {"a": 1, "b": 1}, "test": {"a": 1, "b": 1}}
REQUEST = request(source="image_folder", path="photos")


def summary(used=EVEN, rejected=None) -> Summary:
    counts = {split: sum(labels.values()) for split, labels in used.items()}
    return Summary("images", used, counts, {}, rejected or {}, {}, 0, 1000, 2.0, 1, {})


def check(one: Summary) -> None:
    check_counts(one, REQUEST)


def test_figures():
    one = summary(rejected={"corrupt": 3, "empty": 2})
    assert (one.used_count, one.rejected_count, one.total) == (20, 5, 25)
    assert one.rejected_fraction == 0.2 and one.rate == 12.5 and one.classes == ["a", "b"]
    check(one)


def test_nothing_at_all():
    empty = summary({"train": {}, "eval": {}, "test": {}})
    assert empty.rejected_fraction == 0.0
    with pytest.raises(GraftError, match=r"data.path photos \(/.*/photos\): no usable image"):
        check(empty)


def test_class_that_eval_or_test_lacks_is_unmeasured(caplog):
    lacking = summary(EVEN | {"eval": {"a": 1}, "train": {"a": 8, "b": 8, "c": 1}})
    assert lacking.unmeasured == {"b": ["eval"], "c": ["eval", "test"]} and summary().unmeasured == {}
    check(lacking)
    assert "/photos): too few images to measure every class" in caplog.text
    assert "no image of 'b' in eval; 'c' in eval and test" in caplog.text


def test_class_that_train_lacks_is_named_with_its_counts():
    used = EVEN | {"train": {"a": 8}}
    with pytest.raises(GraftError, match=r"'b' has no image in train \(train 0, eval 1, test 1\).*data.split"):
        check(summary(used))


@pytest.mark.parametrize("split", ["train", "eval", "test"])
def test_empty_split_is_an_error_with_counts(split):
    with pytest.raises(GraftError, match=rf"train, eval and test need images \(.*{split} 0.*data.split"):
        check(summary(EVEN | {split: {}}))


def test_artifact(make_folder, ingest):
    root = make_folder({"cat": 40, "dog": 40})
    (root / "cat" / "bad.png").write_bytes(b"words")
    result = ingest(source="image_folder", path=root, input={"max_pixels": 1234})
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
    assert set(reasons.EXPLANATIONS) == {str(reason) for reason in reasons.Reason}
    assert {"corrupt", "unknown_label", "bad_weight"} < set(REQUEST.explanations)
    told = dataclasses.replace(summary(rejected={"corrupt": 3}), reasons={"corrupt": "cannot be decoded"})
    assert told.rejections == "3 corrupt (cannot be decoded)"


def test_a_summary_of_the_version_before_is_read(make_folder, ingest):
    result = ingest(source="image_folder", path=make_folder({"cat": 20, "dog": 20}))
    path = result.rejected_folder / "summary.json"
    written = json.loads(path.read_text())
    path.write_text(
        json.dumps(
            {key: written[key] for key in written if key not in ("unit", "counts", "domains", "reasons", "judged")}
        )
    )
    assert read_summary(str(result.rejected_folder)) == result.summary
    assert result.summary.used_count == 40 and result.summary.unit == "images"
