"""A disk that fills up in every stage of a run."""

import re

import pytest
from trouble import filled, own_disk, troubled  # noqa: F401 - fixtures
from workshop import STAGES

pytestmark = pytest.mark.slow

LINE = re.compile(
    r"/\S+: the disk or a quota is full \([\d,]+ bytes are free\); free some space and run the same command again"
)


MUCH = ("ingest", "transform", "train", "evaluate", "push")
"""Stages that write more than 16 KiB: they come into Beam's, TensorFlow's and the store's own writing."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_one_line_in_every_stage(own_disk, stage):  # noqa: F811
    with filled(own_disk.folder, left=(16 << 10) * (stage in MUCH)) as fill:
        outcome = own_disk.at(stage, fill)
    assert (outcome.code, outcome.value["status"]) == (2, "failed")
    assert LINE.search(outcome.value["error"]) and outcome.value["error"].startswith(f"{stage}: ")
    assert outcome.value["error"] == outcome.value["reason"] and "\n" not in outcome.value["error"]
    assert outcome.stderr.splitlines()[-1] == f"graft: {outcome.value['error']}"
    assert "Traceback" not in outcome.stderr
    names = [found["name"] for found in outcome.value["stages"]]
    assert names == list(STAGES[: STAGES.index(stage) + 1]) and outcome.value["stages"][-1]["status"] == "failed"
    assert own_disk.left_over() == []


def test_a_disk_that_has_no_room_for_the_metadata_of_a_stage(own_disk):  # noqa: F811
    with filled(own_disk.folder) as fill:
        outcome = own_disk.at("features", fill, after=True)
    assert (outcome.code, outcome.value["status"]) == (2, "failed")
    assert outcome.value["error"].startswith("features: ") and LINE.search(outcome.value["error"])
    assert own_disk.left_over() == []


def test_the_next_run_passes(own_disk):  # noqa: F811
    outcome = own_disk.again()
    assert outcome.code == 0 and outcome.value["status"] == "passed"
