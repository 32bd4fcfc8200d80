"""Two workers train as one process does, although one of them is killed on the way.

They are real processes that reach each other by gRPC on loopback, started by the code that the compiled pipeline's task
runs, through the entry that the manifests name. The tests follow one another.
"""

import contextlib
import dataclasses
import json
import logging
import pathlib
import signal
import threading
import time
import types

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
import yaml

from graft.kubeflow import jobs, local_job, workers
from graft.models import trainer

pytestmark = pytest.mark.slow

# Without dropout the halves of a batch make the same step as the whole, up to the order of summation.
SETTINGS = {
    "head": {"solver": "adam", "dropout": 0.0},
    "transfer": {"method": "fine_tune", "epochs": 2, "head_epochs": 2, "learning_rate": 1e-3},
    "train": {"batch_size": 16, "learning_rate": 0.01, "checkpoint_seconds": 0.0},
}
LARGEST_DIFFERENCE = 1e-5
"""Of losses, weights and answers, between two workers and one process; 1e-7 was measured."""


@dataclasses.dataclass
class Trained:
    """What a training left: its folder, and what the task of the workers has said."""

    folder: pathlib.Path
    lines: list[str]

    @property
    def history(self) -> dict:
        return json.loads((self.folder / "run" / "history.json").read_text())

    @property
    def head(self) -> list[np.ndarray]:
        return [v.numpy() for v in keras.models.load_model(self.folder / "run" / "head.keras").variables]

    def answers(self, contents: list[bytes]) -> np.ndarray:
        served = tf.saved_model.load(str(self.folder / "model")).signatures["serving_default"]
        return served(image_bytes=tf.constant(contents))["probabilities"].numpy()


def arguments(workshop, folder: pathlib.Path) -> types.SimpleNamespace:
    """Of a training on what the stages before have made in the workshop."""
    examples, config = workshop.artifact("ingest", "examples"), yaml.safe_load(workshop.config.read_text())
    return types.SimpleNamespace(
        custom_config={
            **SETTINGS,
            "input": config["input"],
            "backbone": config["backbone"],
            "checkpoint_dir": str(folder / "checkpoints"),
            "features_path": str(workshop.artifact("features", "features")),
        },
        train_files=[str(examples / "Split-train" / "*")],
        eval_files=[str(examples / "Split-eval" / "*")],
        transform_graph_path=str(workshop.artifact("transform", "transform_graph")),
        serving_model_dir=str(folder / "model"),
        model_run_dir=str(folder / "run"),
    )


def is_a_worker(process: psutil.Process) -> bool:
    """Not so of processes that other tests have left and that have ended."""
    with contextlib.suppress(psutil.Error):
        return "graft.kubeflow.worker" in process.cmdline()
    return False


def kill_a_worker(checkpoints: pathlib.Path, killed: list[int]) -> None:
    """Kills worker 1 as soon as there is a checkpoint."""
    while not list(checkpoints.glob("*.npz")):
        time.sleep(0.05)
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # other tests have left processes that have ended
            if json.loads(process.environ().get("TF_CONFIG") or "{}").get("task", {}).get("index") == 1:
                process.send_signal(signal.SIGKILL)
                killed.append(process.pid)


@pytest.fixture(scope="module")
def alone(workshop, first_run, tmp_path_factory) -> Trained:
    """One process."""
    folder = tmp_path_factory.mktemp("alone")
    trainer.run_fn(arguments(workshop, folder))
    return Trained(folder, [])


@pytest.fixture(scope="module")
def together(workshop, first_run, tmp_path_factory) -> Trained:
    """Two workers, of which one is killed at the first checkpoint."""
    folder, lines, killed = tmp_path_factory.mktemp("together"), [], []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("graft.kubeflow")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    given = arguments(workshop, folder)
    given.custom_config[jobs.KEY] = {"count": 2, "retries": 1, "manifests": []}
    thread = threading.Thread(target=kill_a_worker, args=(folder / "checkpoints", killed))
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(local_job.LOCAL, "1")
        patch.setenv(workers.RUN, "a-run")
        try:
            workers.run_fn(given)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
    thread.join()
    assert len(killed) == 1
    return Trained(folder, lines)


def test_a_killed_worker_is_noticed_and_the_job_completes(together):
    said = "\n".join(together.lines)
    assert "worker 0: another worker is gone; started again, all go on from the last checkpoint" in said
    assert f"worker 1 ended with {-signal.SIGKILL}; all are started again" in said
    assert together.history["resumed_at"] >= 1
    assert [row["phase"] for row in together.history["epochs"]] == ["head"] * 2 + ["fine_tune"] * 2
    assert not list((together.folder / "checkpoints").iterdir())
    assert not list((together.folder / "workers").iterdir())
    assert not [p for p in psutil.Process().children(recursive=True) if is_a_worker(p)]


def test_two_workers_give_what_one_process_gives(together, alone, workshop):
    for ours, theirs in zip(together.history["epochs"], alone.history["epochs"], strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert ours[name] == pytest.approx(theirs[name], abs=LARGEST_DIFFERENCE), (name, ours["epoch"])
    assert together.history["best_epoch"] == alone.history["best_epoch"]
    for ours, theirs in zip(together.head, alone.head, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=LARGEST_DIFFERENCE)
    contents = [path.read_bytes() for path in sorted((workshop.folder / "data").glob("*.png"))[::10]]
    answers = together.answers(contents)
    np.testing.assert_allclose(answers, alone.answers(contents), atol=LARGEST_DIFFERENCE)
    assert (
        np.ptp(answers, axis=0).max() > 100 * LARGEST_DIFFERENCE
    )  # a model that answers one thing would be equal, too


def test_a_job_that_is_done_is_not_started_again(together, workshop, tmp_path, monkeypatch):
    """The task was killed after the last worker had ended, before it brought the results."""
    folder = tmp_path / "workers" / workers.job_name("a-run")
    for name in ("model", "run"):
        (folder / name).mkdir(parents=True)
        (folder / name / "result").write_text(name)
    (folder / "done").touch()
    given = arguments(workshop, tmp_path)
    given.custom_config[jobs.KEY] = {"count": 2, "retries": 0, "manifests": []}
    monkeypatch.setenv(local_job.LOCAL, "1")
    monkeypatch.setenv(workers.RUN, "a-run")
    monkeypatch.setattr(local_job.LocalJob, "start", lambda self: pytest.fail("it was started"))
    workers.run_fn(given)
    assert (tmp_path / "model" / "result").read_text() == "model"
    assert not folder.exists()
