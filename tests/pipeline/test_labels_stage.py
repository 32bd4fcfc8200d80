"""What the room of `labels` shows: the report's part, the line, the card; what could not be looked at is said."""

import dataclasses
import json

import pytest
from test_report import HOSTILE, run  # noqa: F401 - a fixture

from graft.models.page import Gallery, Text
from graft.pipeline.stages import find
from graft.pipeline.stages.base import DATA, Ran

ROOM = find("labels")


@pytest.fixture
def shown(run):  # noqa: F811
    """The blocks of the part, after a change of what was found."""
    path = run.path("labels", "review") / "labels.json"
    found = json.loads(path.read_text())

    def build(near: dict | None = None, **changed):
        path.write_text(json.dumps(found | changed | {"near": found["near"] | (near or {})}))
        (part,) = ROOM.parts()
        return list(part.build(Ran(run.config, run.result, run.outputs)))

    return build


def words(blocks) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def test_labels_come_with_pictures_names_and_how_sure_that_is(shown):
    blocks = shown()
    suspicious, pairs = (block for block in blocks if isinstance(block, Gallery))
    ((_, previews),) = suspicious.groups
    told = ("label: cat", f"model: {HOSTILE}", "probability 0.95 against 0.04", "test, flagged")
    assert tuple(previews[0].captions) == told and previews[2].captions[-1] == "test"
    assert all(preview.file and preview.preview["image"].startswith("data:image") for preview in previews)
    assert "Its accuracy is 0.750. Nothing was learned or chosen on the test split." in words(blocks)
    (title, both), _ = pairs.groups
    assert title.startswith("cat (test, pets/0") and title.endswith(": distance 0.0100") and len(both) == 2


def test_numbers_have_a_distance_and_no_support(shown):
    (gallery, _) = (block for block in shown(support="") if isinstance(block, Gallery))
    assert gallery.groups[0][1][0].captions[2] == "0.9"


def test_what_was_not_looked_at_is_said(shown):
    reason = "the model's backbone was trained on"
    assert f"The test split was not looked at: {reason}." in words(shown(why_no_test=reason))
    assert "learned from 20 of 36 images, drawn by their digests" in words(shown(learned_from=20))
    assert "among 40 of 54 images (all of test, the others drawn" in words(shown(near={"looked_at": 40}))
    blocks = shown(why_none="8 labelled examples", near={"pairs": 0})
    assert "No label was judged: 8 labelled examples." in words(blocks) and "No near-duplicates among" in words(blocks)
    assert not [block for block in blocks if isinstance(block, Gallery)]


def test_counts_stand_in_the_result_and_in_the_card(run, shown):  # noqa: F811
    shown(near={"looked_at": 54})
    assert ROOM.line(run.result, run.outputs["labels"]) == "2 labels to look at, 2 near-duplicates"
    assert run.result.to_json()["labels"] == {
        "looked_at": 54,
        "flagged": 2,
        "near_duplicates_pairs": 2,
        "near_duplicates_contradicting": 1,
        "near_duplicates_across_splits": 1,
        "near_duplicates_within": 0,
    }
    entries = ROOM.card(Ran(run.config, run.result, run.outputs))
    assert {heading for heading, _ in entries} == {DATA} and "contradicts: 2 of 54 images" in entries[1][1]
    shown(why_none="too few")
    assert ROOM.line(dataclasses.replace(run.result), run.outputs["labels"]).startswith("too few labels to judge")
    assert len(ROOM.card(Ran(run.config, run.result, run.outputs))) == 1
