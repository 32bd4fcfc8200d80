"""What is written of a review: in which order, how much, and by which names."""

import json

import pytest
from label_artifacts import WRONG, name, target, write

from graft.components.labels import findings
from graft.components.labels.gather import gather, labelled
from graft.models.label_review.review import review


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folders = write(tmp_path_factory.mktemp("artifacts"))
    parts, why = gather(folders["features"], folders["predictions"], folders["examples"], target())
    return findings.findings(review(labelled(parts), target()), parts, why)


def test_wrong_labels_stand_at_the_top_by_their_files(told):
    wrong = {name(split, row) for split, rows in WRONG.items() for row in rows}
    assert wrong <= {row["file"] for row in told["labels"][:8]}
    first = told["labels"][0]
    assert first["flagged"] and first["given"] == first["label"] != first["suggested"]
    assert first["for_suggested"] - first["for_given"] == pytest.approx(first["score"])
    assert told["ranked"] == len(told["labels"]) == 100 and told["flagged"] == sum(r["flagged"] for r in told["labels"])
    flags = [row["flagged"] for row in told["labels"]]
    assert flags == sorted(flags, reverse=True)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_pairs_say_what_they_are(told):
    contradicting, across = told["pairs"]
    assert {contradicting["first"]["file"], contradicting["second"]["file"]} == {name("eval", 1), name("eval", 2)}
    assert contradicting["contradicting"] and not contradicting["across_splits"]
    assert {across["first"]["split"], across["second"]["split"]} == {"train", "test"} and not across["contradicting"]
    near = told["near"]
    assert (near["pairs"], near["contradicting"], near["across_splits"], near["within"]) == (2, 1, 1, 0)
    by_file = {row["file"]: row["nearest_duplicate"] for row in told["labels"]}
    assert by_file[name("test", 0)]["file"] == name("train", 0) and by_file[name("train", 9)] is None


def test_each_kind_of_pair_is_shown_and_each_example_once(told):
    assert findings.shown_pairs(told) == told["pairs"]
    many = {**told, "pairs": told["pairs"][:1] * 20 + told["pairs"][1:]}
    assert len(findings.shown_pairs(many)) == findings.SHOWN_PAIRS // 2 + 1
    keys = list(findings.shown(many))
    assert len(set(keys)) == len(keys) <= findings.SHOWN_LABELS + 4


def test_what_is_flagged_is_written_whatever_the_most_is(told, tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "MOST", 1)
    folders = write(tmp_path)
    parts, why = gather(folders["features"], folders["predictions"], folders["examples"], target())
    short = findings.findings(review(labelled(parts), target()), parts, why)
    assert len(short["labels"]) == short["flagged"] > 1 and short["ranked"] == 100 and len(short["pairs"]) == 1
