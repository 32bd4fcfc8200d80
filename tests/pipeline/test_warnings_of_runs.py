"""What nothing stopped is told everywhere alike: by the stages, on the terminal, in run.json."""

import argparse
import json
import sys

import pytest

from graft.models.run_warning import RunWarning
from graft.pipeline import config as configs
from graft.pipeline import stages
from graft.pipeline.ending import Ending
from graft.pipeline.metadata import Artifact
from graft.pipeline.output import show_run
from graft.pipeline.result import NO_QUALITY_GATE, RunResult
from graft.pipeline.stages.base import Ran, warned
from graft.pipeline.stages.train import LAST_EPOCH


@pytest.fixture
def ran(tmp_path):
    """ran(stage, file, content, ...) -> a run that left these files, each in an artifact of the stage."""
    raw = {"name": "x", "data": {"source": "image_folder", "path": "p"}, "backbone": {"handle": "b"}}
    config = configs.parse(raw, "test")

    def make(stage: str, output: str, file: str, content: dict) -> Ran:
        folder = tmp_path / stage / output
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(json.dumps(content))
        return Ran(config, RunResult("1"), {stage: {output: Artifact(output, str(folder), {})}})

    return make


@pytest.mark.parametrize(
    ("phases", "best", "allowed", "told"),
    [
        (["head"] * 5, 5, {"head": 5}, True),
        (["head"] * 5, 4, {"head": 5}, False),
        (["head"] * 5, 5, {"head": 9}, False),  # patience ended it
        (["head"], 1, {"head": 1}, False),  # solved
        (["head", "fine_tune", "fine_tune"], 3, {"head": 10, "fine_tune": 2}, True),
        (["head"] * 5, 5, {}, False),  # of an earlier version
    ],
)
def test_a_best_epoch_that_is_the_last_allowed_one(ran, phases, best, allowed, told):
    history = {"epochs": [{"phase": phase} for phase in phases], "best_epoch": best, "allowed": allowed}
    found = warned(stages.find("train"), ran("train", "model_run", "history.json", history))
    assert [warning.code for warning in found] == [LAST_EPOCH] * told


def test_a_stage_that_was_not_reached_warns_of_nothing(ran):
    assert warned(stages.find("quality_gate"), ran("train", "model_run", "history.json", {})) == []


def shown(capsys, result: RunResult, as_json: bool = False) -> str:
    with Ending(as_json) as end:
        assert show_run(argparse.Namespace(json=as_json), result, end) == 0
    return capsys.readouterr().out


WARNINGS = [RunWarning(NO_QUALITY_GATE, "no quality gate", grave=True), RunWarning(LAST_EPOCH, "more may help")]


def result(*warnings: RunWarning) -> RunResult:
    return RunResult("1", "passed", warnings=list(warnings), stages=[])


def test_the_terminal_has_what_is_grave_in_bold(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = "WARNING  no quality gate\nwarning  more may help\n"
    assert shown(capsys, result(*WARNINGS)).endswith(plain)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert shown(capsys, result(*WARNINGS)).endswith("\x1b[1mWARNING  no quality gate\x1b[0m\nwarning  more may help\n")
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(capsys, result(*WARNINGS)).endswith(plain)


def test_json_has_the_same_list(capsys):
    value = json.loads(shown(capsys, result(*WARNINGS), as_json=True))
    assert [(one["code"], one["grave"]) for one in value["warnings"]] == [(NO_QUALITY_GATE, True), (LAST_EPOCH, False)]
    assert json.loads(shown(capsys, result(), as_json=True))["warnings"] == []


def test_only_the_want_of_a_quality_gate_makes_a_run_ungated():
    assert result(*WARNINGS).ungated and not result(WARNINGS[1]).ungated
