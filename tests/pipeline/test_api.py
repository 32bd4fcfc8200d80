"""`import graft`: what it makes of its arguments and of how a run went. docs/digits.ipynb runs the real thing."""

import logging
import subprocess
import sys

import pytest

import graft
from graft.models.run_warning import RunWarning
from graft.pipeline import api
from graft.pipeline.result import NO_QUALITY_GATE, RunResult

CONFIG = {"name": "flowers", "data": {"source": "image_folder", "path": "data"}, "backbone": {"handle": "backbone"}}


@pytest.fixture
def told(monkeypatch):
    """What the pipeline is asked for; `told.result` is how it goes."""
    from graft.pipeline import run as running

    class Told(list):
        result = RunResult("r1", status="passed", model_version=3)

    found = Told()

    def run(config, view, **more):
        view.line("progress")
        view.preparing("more")
        logging.getLogger("tensorflow").warning("chatter")
        logging.warning("chatter of Beam")
        found.append((config, more))
        return found.result

    monkeypatch.setattr(running, "run", run)
    return found


def test_a_file_a_mapping_and_a_config_are_the_same(told, tmp_path, capfd):
    path = tmp_path / "flowers.yaml"
    path.write_text("name: flowers\ndata: {source: image_folder, path: data}\nbackbone: {handle: backbone}\n")
    before = logging.root.level, list(logging.root.handlers), logging.getLogger("tensorflow").level
    for given in (path, str(path), CONFIG):
        run = graft.run(given, ["train.epochs=2"], from_stage="train", wait=True)
        assert (run.passed, run.version, run.run_id) == (True, 3, "r1") and run.config.train.epochs == 2
    assert "train" not in CONFIG and graft.run(run.config).config is run.config
    assert {str(config) for config, _ in told} == {str(run.config)}
    assert told[0][1] == {"from_stage": "train", "wait": True}
    assert capfd.readouterr() == ("", ""), "quiet"
    assert (logging.root.level, list(logging.root.handlers), logging.getLogger("tensorflow").level) == before
    graft.run(CONFIG, quiet=False)
    assert capfd.readouterr().err == "progress\nmore\n"


@pytest.mark.parametrize(
    ("given", "overrides", "said"),
    [
        (CONFIG | {"trane": {}}, [], "config: trane: unknown key"),
        (CONFIG, ["train"], "--set 'train': must be key=value"),
        ("absent.yaml", [], "absent.yaml.*: no such file"),
    ],
)
def test_what_cannot_be_is_an_error_of_one_type(told, given, overrides, said):
    with pytest.raises(graft.GraftError, match=said):
        graft.run(given, overrides)
    assert not told


def test_a_closed_gate_is_a_result_and_a_failure_is_raised(told):
    told.result = RunResult("r2", status="gate_closed", reason="accuracy is 0.4, at least 0.8 is wanted", exit_code=1)
    run = graft.run(CONFIG)
    assert not run.passed and run.version is None and run.report is None
    assert repr(run) == "<run r2 of flowers: gate_closed, accuracy is 0.4, at least 0.8 is wanted; nothing pushed>"
    assert run._repr_html_() == f"<pre>{repr(run).replace('<', '&lt;').replace('>', '&gt;')}</pre>"
    with pytest.raises(graft.GraftError, match="run r2 of flowers pushed no model: accuracy"):
        run.model()
    for code, kind, said in ((2, graft.GraftError, "train: the disk is full"), (3, ZeroDivisionError, "fault")):
        told.result = RunResult(
            "r3", reason="train: the disk is full", failure=ZeroDivisionError("fault"), exit_code=code
        )
        with pytest.raises(kind, match=said):
            graft.run(CONFIG)


def test_a_run_without_a_quality_gate_says_so(told):
    warning = RunWarning(NO_QUALITY_GATE, "no quality gate", grave=True)
    told.result = RunResult("r4", status="passed", model_version=1, warnings=[warning])
    run = graft.run(CONFIG)
    assert run.passed and run.warnings == [warning]
    assert repr(run).startswith("<run r4 of flowers: passed without a quality gate; version 1 in ")
    told.result = RunResult("r5", status="passed", model_version=1)
    assert "passed; version 1" in repr(graft.run(CONFIG))


def test_a_config_takes_no_overrides(told):
    with pytest.raises(graft.GraftError, match=r"received .* with a Config"):
        graft.run(graft.run(CONFIG).config, ["train.epochs=2"])


@pytest.mark.slow
def test_names_come_at_their_first_use_and_load_what_they_need():
    program = """
import sys
import graft
assert not {"tensorflow", "grpc", "pydantic"} & set(sys.modules), "import graft is at once there"
graft.Client, graft.GraftError
assert not {"tensorflow", "tfx"} & set(sys.modules), "the client"
graft.load, graft.LoadedModel
assert not {"tensorflow", "tfx"} & set(sys.modules), "until a model is loaded"
graft.run, graft.Run
assert not {"tensorflow", "tfx"} & set(sys.modules), "until a pipeline is run"
try:
    graft.nothing
except AttributeError as error:
    assert "has no attribute 'nothing'" in str(error)
else:
    raise SystemExit("graft.nothing is there")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert api.load is graft.load
