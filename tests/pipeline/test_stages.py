"""What holds for every stage's room, without running one."""

import datetime
import json
import subprocess
import sys

import pytest

from graft.components.gates import write_gates
from graft.models.gates import Gate
from graft.models.targets import KINDS, make_target
from graft.pipeline import config as configs
from graft.pipeline import stages
from graft.pipeline.metadata import Artifact, Execution
from graft.pipeline.result import RunResult
from graft.pipeline.stages.base import Absent, Ran


@pytest.fixture
def config():
    raw = {"name": "x", "data": {"source": "image_folder", "path": "p"}, "backbone": {"handle": "b"}}
    return configs.parse(raw, "test")


def test_names_are_those_of_their_files_and_differ():
    names = [stage.name for stage in stages.STAGES]
    assert [type(stage).__module__.rpartition(".")[2] for stage in stages.STAGES] == names
    assert len(set(names)) == len(names)
    assert all(stages.find(name).name == name for name in names) and stages.find("tune") is None


@pytest.mark.slow
def test_rooms_are_entered_without_what_they_run():
    heavy = ("tensorflow", "tfx", "keras", "apache_beam", "sklearn", "matplotlib")
    code = f"import sys, graft.pipeline.stages; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stage_that_is_off_is_no_part_of_the_pipeline(config):
    assert "negative_transfer" not in [stage.name for stage in stages.enabled(config)]
    config.gates.negative_transfer = {}
    assert "negative_transfer" in [stage.name for stage in stages.enabled(config)]


def test_parts_have_addresses_of_their_own():
    parts = [part.name for stage in stages.STAGES for part in stage.parts()]
    assert len(set(parts)) == len(parts)
    assert not {"gates", "timings", "lineage", "config"} & set(parts)


def test_a_run_that_reached_nothing_has_nothing_to_show(config):
    ran = Ran(config, RunResult("r"), {})
    for stage in stages.STAGES:
        assert set(stage.describe(None).values()) <= {None}
        assert set(stage.judged(None).values()) <= {None}
        for part in stage.parts():
            with pytest.raises(Absent):
                part.build(ran)


@pytest.mark.parametrize("stage", [stage for stage in stages.STAGES if stage.gate], ids=lambda stage: stage.name)
def test_gates_are_read_where_they_are_written(stage, tmp_path):
    checked = [Gate("some", 1.0, 0.5, False, "a ceiling")]
    write_gates(str(tmp_path), checked)
    (tmp_path / "serving.json").write_text(
        json.dumps({"requests": 1, "server": "embedded", "latency_ms": {"median": 2.0}})
    )
    outputs = {stage.gate: Artifact("Blessing", str(tmp_path), {})}
    assert stage.gates(outputs) == checked
    if stage.name != "quality_gate":  # which reads its figures too
        assert "0 of 1 gates passed" in stage.line(RunResult("r"), outputs)


def execution(parameters: dict, outputs: dict[str, Artifact] | None = None) -> Execution:
    """One that went well."""
    started = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    return Execution(1, "r", "s", "COMPLETE", started, 1.0, parameters, outputs or {})


@pytest.mark.parametrize(
    "parameters",
    [
        {"backbone": {"handle": "/b"}, "identity": "1" * 64},
        {"backbone": {"handle": "/b", "identity": "1" * 64, "image_size": [8, 8]}},  # as version 0.1 kept it
    ],
)
def test_a_backbone_is_known_in_runs_of_either_version(parameters):
    found = stages.find("features").describe(execution(parameters))
    assert found == {"backbone": {"handle": "/b", "identity": "1" * 64}}


def test_data_without_a_path_goes_by_its_name():
    parameters = {"data": {"source": "tfds", "name": "mnist"}, "fingerprint": "f", "code": "c"}
    room = stages.find("ingest")
    described = room.describe(execution(parameters))
    assert ("data", "tfds mnist") in room.rows(described) and ("", "counts no longer on disk") in room.rows(described)


def test_what_was_measured_of_numbers_goes_by_their_names(tmp_path):
    target = make_target(KINDS.options("numbers")(columns=("light",)), ("light",))
    figures = {"target": target.description(), "candidate": dict.fromkeys(target.metrics, 0.5), "model_size_mb": 1.0}
    served = {"version": 4, target.headline: 0.25, "examples": 3}
    (tmp_path / "figures.json").write_text(json.dumps(figures | {"baseline": served}))
    room = stages.find("quality_gate")
    found = room.judged(execution({}, {"quality": Artifact("Quality", str(tmp_path), {})}))
    assert found == {
        "metrics": dict.fromkeys(target.metrics, 0.5),
        "baseline": {"version": 4, target.headline: 0.25},
    }
    assert ("baseline", f"version 4, {target.headline} 0.2500") in room.rows(found)


@pytest.mark.slow
def test_the_line_of_a_training_tells_findings_that_are_short(tmp_path):
    entry = {"epoch": 1, "phase": "head", "loss": 0.5, "val_loss": 0.4, "seconds": 1.0}
    history = {"epochs": [entry], "best_epoch": 1, "path": []}
    outputs = {"model_run": Artifact("ModelRun", str(tmp_path), {})}

    def line(**more):
        (tmp_path / "history.json").write_text(json.dumps(history | more))
        return stages.find("train").line(RunResult("r"), outputs)

    assert line() == "1 epochs, best eval loss 0.4000"
    found = {"name": "effective sample size", "value": 41.23456, "words": "Few."}
    assert line(findings=[found]) == "1 epochs, best eval loss 0.4000, effective sample size 41.23"
    assert line(findings=[found] * 9) == line()
