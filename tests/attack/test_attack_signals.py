"""SIGTERM, SIGINT and SIGHUP in every stage of a run, and while native code holds the main thread."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from trouble import troubled  # noqa: F401 - a fixture
from workshop import STAGES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("heard_signals")]

NAMES = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_a_run_in_every_stage(troubled, stage):  # noqa: F811
    number = NAMES[STAGES.index(stage) % len(NAMES)]
    outcome = troubled.at(stage, lambda: os.kill(os.getpid(), number))
    before = STAGES.index(stage)
    kept = f"kept: {before} finished stage{'s' if before > 1 else ''}; " if before else ""
    reason = f"{stage}: interrupted by {number.name}; {kept}run the same command again"
    assert outcome.code == 128 + number
    assert outcome.value["status"] == "interrupted"
    assert outcome.value["error"] == outcome.value["reason"] == reason
    assert outcome.stderr.splitlines()[-1] == f"graft: {reason}"
    ended = outcome.value["stages"][-1]
    assert (ended["name"], ended["status"]) == (stage, "interrupted")
    report = pathlib.Path(outcome.value["report"])
    assert "Interrupted" in report.read_text() and reason in report.read_text()
    written = json.loads((report.parent / "run.json").read_text())
    assert written.pop("config")["name"] == troubled.root.name
    assert written | {"error": reason} == outcome.value
    assert troubled.states(outcome.value["run_id"])[stage] == "FAILED"
    assert troubled.left_over() == []


def test_the_lock_is_free_and_the_next_run_passes(troubled):  # noqa: F811
    outcome = troubled.again()
    assert outcome.code == 0 and outcome.value["status"] == "passed"
    assert outcome.value["stages"][STAGES.index("transform")]["cached"]


def test_an_interrupted_training_keeps_its_checkpoint_and_goes_on_from_there(troubled):  # noqa: F811
    settings = ("head.solver=adam", "train.checkpoint_seconds=0", "train.epochs=100", "train.patience=100")
    args = [word for setting in settings for word in ("--set", setting)]
    checkpoints = troubled.root / "checkpoints"

    def terminate_after_the_first() -> None:
        while not any(checkpoints.glob("*.npz")):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)

    outcome = troubled.at("train", threading.Thread(target=terminate_after_the_first, daemon=True).start, *args)
    assert (outcome.code, outcome.value["status"]) == (143, "interrupted")
    assert len(list(checkpoints.glob("*"))) == 1
    assert " finished stages and the checkpoint of the training; run the same command again" in outcome.value["error"]
    again = troubled.at("predict", lambda: os.kill(os.getpid(), signal.SIGTERM), *args, "--from", "train")
    history = json.loads((troubled.artifact("train", "model_run") / "history.json").read_text())
    assert again.value["stages"][STAGES.index("train")]["status"] == "done"
    assert history["resumed_at"] > 0 and not list(checkpoints.glob("*"))


def test_a_signal_that_a_stage_swallows_still_ends_the_run(troubled, monkeypatch):  # noqa: F811
    from graft.components.data_gate import executor

    def swallow(*args, **kwargs):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            return real(*args, **kwargs)

    real = executor.Executor.Do
    monkeypatch.setattr(executor.Executor, "Do", swallow)
    outcome = troubled.again("--from", "data_gate")
    assert (outcome.code, outcome.value["status"]) == (143, "interrupted")


QUICKER = """
import sys
from graft.pipeline import cli
from graft.pipeline.demo import story
story._COPIES, story._MNIST_STEPS = 1, 20  # the backbone may be bad, what follows takes as long
sys.exit(cli.main())
"""


def test_the_demo_ends_by_a_signal_too(tmp_path):
    """While it draws the curve, before the run that takes over its stages."""
    command = [sys.executable, "-c", QUICKER, "demo", "--root", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        for line in demo.stderr:
            if line.startswith("ingest"):
                break
        demo.send_signal(signal.SIGTERM)
        stdout, stderr = demo.communicate(timeout=60)
    value = json.loads(stdout)
    assert demo.returncode == 143
    assert value["status"] == "interrupted" and "SIGTERM" in value["error"]
    assert stderr.splitlines()[-1].startswith("graft: ") and "Traceback" not in stderr
    assert pathlib.Path(value["folder"], "runs", "mnist").is_dir() and value["folder"] in stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*/store/mnist")) and not list(tmp_path.glob("*/runs/mnist/curves/*/*"))
