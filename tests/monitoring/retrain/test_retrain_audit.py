"""The audit: lines that survive a kill, ends that are completed, one retraining at a time."""

import json
import os
import typing

import pytest
from retrain_samples import NOW, event, retraining

from graft.models.errors import GraftError
from graft.monitoring.retrain import audit
from graft.pipeline.running import Busy


def test_what_is_added_is_read_again(tmp_path):
    events = [*retraining(NOW, NOW + 60, learned=NOW - 1), event("paused", NOW + 70, reason="é\nü")]
    for one in events:
        audit.append(tmp_path / "retrain", one)
    assert audit.read(tmp_path / "retrain") == events and audit.read(tmp_path / "none") == []


def test_a_torn_line_is_not_there_and_is_cut_off_by_the_next(tmp_path):
    audit.append(tmp_path, event("paused", NOW, reason="a"))
    with (tmp_path / audit.NAME).open("ab") as file:
        file.write(b'{"time": 17, "ki')
    assert len(audit.read(tmp_path)) == 1
    audit.append(tmp_path, event("resumed", NOW))
    assert [one.kind for one in audit.read(tmp_path)] == ["paused", "resumed"]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / audit.NAME).write_text('{"time": 1, "kind": "began", "model": "m"}\n')
    with pytest.raises(GraftError, match=r"audit\.jsonl:1: kind: .*must be an event as `graft retrain` writes it"):
        audit.read(tmp_path)


@pytest.mark.parametrize("left", ["nothing", "torn", "result"])
def test_the_end_of_one_that_was_killed_is_completed_from_what_it_left(tmp_path, left):
    start = event("started", NOW, run="r7", span="s", learned_until=NOW - 5)
    audit.append(tmp_path / "retrain", start)
    run = tmp_path / "runs" / "r7"
    run.mkdir(parents=True)
    told = {"status": "gate_closed", "reason": "accuracy", "model_version": None, "ended": NOW + 9}
    if left != "nothing":
        (run / "run.json").write_text(json.dumps(told)[: 20 if left == "torn" else None])
    [end] = audit.complete(tmp_path / "retrain", tmp_path, audit.read(tmp_path / "retrain"), NOW + 99)
    assert audit.read(tmp_path / "retrain") == [start, end] and audit.unended([start, end]) == []
    wanted = ("finished", "gate_closed", NOW + 9) if left == "result" else ("killed", None, NOW)
    assert (end.kind, end.status, end.ended) == wanted and end.learned_until == NOW - 5
    assert audit.complete(tmp_path / "retrain", tmp_path, [start, end], NOW) == []


def test_of_two_at_once_one_is_refused_by_name(tmp_path):
    with audit.one_at_a_time(tmp_path):
        busy = pytest.raises(Busy, match=rf"is under way \(process {os.getpid()}\); let it end")
        with busy, audit.one_at_a_time(tmp_path):
            pass
    with audit.one_at_a_time(tmp_path):
        pass


@pytest.mark.parametrize("kind", typing.get_args(audit.Kind))
def test_each_kind_has_words(kind):
    words = event(kind, NOW, run="r1", status="gate_closed", reason="why").words
    assert words.startswith("retraining") and words.endswith("why")
