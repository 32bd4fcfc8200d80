"""A new stage is a file and an entry: its line, gate, metric, lineage and part of the report are all there."""

import pathlib

import notes_stage
import pytest

from graft.pipeline import stages

pytestmark = pytest.mark.slow


@pytest.fixture
def registered(monkeypatch):
    """registered(most_bytes): the stage stands after the data gate."""

    def do(most_bytes: int) -> None:
        names = [stage.name for stage in stages.STAGES]
        before = names.index("data_gate") + 1
        changed = [*stages.STAGES[:before], notes_stage.Notes(most_bytes), *stages.STAGES[before:]]
        monkeypatch.setattr(stages, "STAGES", changed)

    return do


def test_a_new_stage_is_run_read_gated_and_shown(workshop, first_run, registered):
    registered(most_bytes=10**9)
    again = workshop.again()
    assert again.code == 0, again.value
    run = {stage["name"]: stage for stage in again.value["stages"]}
    assert run["notes"]["result"] == "note for auditor and owner; 1 of 1 gates passed"
    assert [stage["name"] for stage in again.value["stages"] if not stage["cached"]] == ["notes"]
    assert "test_bytes" in [gate["name"] for gate in again.value["gates"]]
    page = pathlib.Path(workshop.folder, again.value["report"]).read_text(encoding="utf-8")
    section = page[page.index('<section id="notes">') : page.index('<section id="training">')]
    assert "Who reads this:" in section and "auditor" in section
    assert 'href="#notes"' in page and "<dt>note</dt><dd>for auditor, owner</dd>" in page


def test_its_gate_closes(workshop, first_run, registered):
    registered(most_bytes=10)
    closed = workshop.again()
    assert closed.code == 1
    assert closed.value["status"] == "gate_closed"
    assert closed.value["reason"].startswith("notes: gate closed: test_bytes is ")
    assert closed.value["stages"][-1]["name"] == "notes" and closed.value["stages"][-1]["status"] == "closed"
