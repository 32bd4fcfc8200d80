"""The entry of a worker: who the others are, what is said of a failure, when there is nothing to do."""

import json
import os
import pathlib
import time
import types

import pytest

from graft.kubeflow import worker
from graft.kubeflow.job_folder import JobFolder
from graft.models.errors import GraftError

HOSTS = "job-node-0-{}.job:2222"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch, heard_signals):
    """What a worker sets for its process ends with the test."""
    for name in ("TF_CONFIG", worker.INDEX):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_the_others_are_named_by_the_index_of_the_pod(monkeypatch):
    monkeypatch.setenv(worker.INDEX, "1")
    assert worker.join(3, HOSTS) == 1
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": {"worker": [f"job-node-0-{number}.job:2222" for number in range(3)]},
        "task": {"type": "worker", "index": 1},
    }


def test_a_tfjob_has_named_them(monkeypatch):
    given = {
        "cluster": {"worker": ["a:2222", "b:2222"]},
        "task": {"type": "worker", "index": 1},
        "environment": "cloud",
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(given))
    assert worker.join(None, None) == 1
    assert json.loads(os.environ["TF_CONFIG"]) == given


@pytest.mark.parametrize(
    ("variables", "options", "message"),
    [
        ({}, (None, None), "TF_CONFIG: received nothing; allowed: JSON"),
        ({"TF_CONFIG": "{"}, (None, None), "TF_CONFIG: received {; allowed: JSON"),
        ({"TF_CONFIG": '{"cluster": {}}'}, (None, None), "TF_CONFIG: received"),
        ({}, (2, HOSTS), "JOB_COMPLETION_INDEX: received ''; allowed: a number below 2"),
        ({"JOB_COMPLETION_INDEX": "2"}, (2, HOSTS), "JOB_COMPLETION_INDEX: received '2'"),
        ({"JOB_COMPLETION_INDEX": "-1"}, (2, HOSTS), "JOB_COMPLETION_INDEX: received '-1'"),
    ],
)
def test_nobody_is_named(monkeypatch, variables, options, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GraftError, match=message):
        worker.join(*options)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> JobFolder:
    """A folder with what a training needs to be refused, and a cluster of one worker."""
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}')
    for name in ("transform", "features", "examples"):
        (tmp_path / "given" / name).mkdir(parents=True)
        (tmp_path / "given" / name / "file").write_text(name)
    folder = JobFolder(tmp_path / "job")
    folder.fill(given(tmp_path))
    return folder


def given(root: pathlib.Path) -> types.SimpleNamespace:
    examples = str(root / "given" / "examples" / "*")
    return types.SimpleNamespace(
        custom_config={"features_path": str(root / "given" / "features"), "backbone": {}},
        train_files=[examples],
        eval_files=[examples],
        transform_graph_path=str(root / "given" / "transform"),
        serving_model_dir=str(root / "model"),
        model_run_dir=str(root / "run"),
    )


def test_the_folder_holds_all_that_is_read(folder, tmp_path):
    held = folder.arguments()
    (pattern,) = held.train_files
    assert [path.read_text() for path in pathlib.Path(pattern).parent.glob("*")] == ["examples"]
    for path in (held.transform_graph_path, held.custom_config["features_path"], held.serving_model_dir):
        assert pathlib.Path(path).is_relative_to(folder.path)
    assert (pathlib.Path(held.transform_graph_path) / "file").read_text() == "transform"


def test_a_folder_that_was_filled_is_not_filled_again(folder, tmp_path):
    """The task was killed and tried again: the copies may be large, and workers may read them now."""
    (tmp_path / "given" / "features" / "file").write_text("changed")
    folder.fill(given(tmp_path))
    features = pathlib.Path(folder.arguments().custom_config["features_path"])
    assert (features / "file").read_text() == "features"


def test_what_trying_again_would_not_help_is_told(folder, capsys):
    """A worker that is started again after it says the same at once, and the task need not wait for the retries."""
    assert worker.main([str(folder.path)]) == 2
    first = capsys.readouterr().err
    assert "graft: custom_config of the train stage" in first
    assert "handle" in folder.failure
    assert worker.main([str(folder.path)]) == 2
    assert folder.failure.splitlines()[0] in capsys.readouterr().err


def test_where_all_is_done_there_is_nothing_to_do(folder, monkeypatch):
    """A pod that was started again after the end."""
    folder.finish()
    monkeypatch.delenv("TF_CONFIG")
    assert worker.main([str(folder.path)]) == 0


def test_folders_of_runs_that_were_ended_from_outside_are_deleted_a_week_later(tmp_path):
    for name, days in (("old", 8), ("written", 8), ("new", 6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "worker-0.log").touch()
        for path in (tmp_path / name / "worker-0.log", tmp_path / name):
            os.utime(path, times=(time.time() - days * 86400,) * 2)
    (tmp_path / "written" / "worker-0.log").touch()
    JobFolder(tmp_path / "own").sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "written"]


def test_a_folder_that_nobody_filled(tmp_path):
    with pytest.raises(GraftError, match=r"fn_args\.json: cannot be read; the task of the stage writes it"):
        JobFolder(tmp_path).arguments()
