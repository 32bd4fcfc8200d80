"""TensorBoard shows what a training logged: its own server is started, and asked by the example of docs/."""

import os
import pathlib
import re
import runpy
import subprocess
import sys

import pytest
from waiting import until

from graft.models.transfer import METHODS

SCALARS = pathlib.Path(__file__).parents[2] / "docs" / "examples" / "scalars.py"


@pytest.fixture
def tensorboard():
    """tensorboard(folder): the address of a server of its logs, which ends with the test."""
    started = []

    def serve(folder: pathlib.Path) -> str:
        words = [
            "tensorboard.main",
            "--logdir",
            folder,
            "--host=127.0.0.1",
            "--port=0",
            "--load_fast=false",
            "--reload_interval=1",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        started.append(process)
        told = []
        for line in process.stderr:
            told.append(line)
            if found := re.search(r"at (http://\S+)", line):
                return found[1]
        raise AssertionError(f"TensorBoard did not start: {''.join(told)}")

    yield serve
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_its_api_has_the_scalars_of_a_training_and_nothing_before(training_input, tensorboard, tmp_path, capsys):
    address = tensorboard(tmp_path)
    example = runpy.run_path(str(SCALARS))
    assert example["main"](address) == 0
    assert capsys.readouterr().out == ""

    task = training_input.task({"method": "fine_tune", "epochs": 1, "head_epochs": 1})
    task.log_dir = tmp_path / "model_run" / "8" / "tensorboard"
    last = METHODS.module("fine_tune").fit(task).epochs[-1]
    expected = {name: last[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}

    def shown() -> dict[str, float]:
        assert example["main"](address) == 0
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        return {tag: float(value) for run, tag, step, value in rows if (run, step) == ("model_run/8/tensorboard", "2")}

    until(lambda: expected.keys() <= shown().keys())  # a thread of its own reads the log, once a second
    found = shown()
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)
