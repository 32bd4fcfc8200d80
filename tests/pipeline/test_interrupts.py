"""Signals to a real `graft run`: before TensorFlow is there and while it trains. Each stage: tests/attack."""

import json
import pathlib
import signal
import subprocess
import sys
import threading

import pytest
from workshop import Workshop

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("heard_signals")]

BEFORE = """
import os, signal, sys

def heard(event, given):
    if event == "import" and given[0] == "tensorflow" and not came:
        came.append(True)
        os.kill(os.getpid(), signal.SIGTERM)

came = []
sys.addaudithook(heard)
from graft.pipeline import cli
sys.exit(cli.main())
"""


@pytest.fixture(scope="module")
def place(workshop, tmp_path_factory) -> Workshop:
    """A folder of its own, where nothing was run."""
    return workshop.beside(tmp_path_factory.mktemp("interrupts"))


def test_before_tensorflow_is_imported_there_are_words_and_nothing_is_left(place):
    before = files(place)
    process = subprocess.run(
        [sys.executable, "-c", BEFORE, "run", str(place.config), "--json"],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    error = "interrupted by SIGTERM; run the same command again"
    assert process.returncode == 143
    assert json.loads(process.stdout) == {"status": "interrupted", "error": error}
    assert process.stderr.splitlines() == [
        "shapes: checking the data",
        "shapes: loading TensorFlow",
        f"graft: {error}",
    ]
    assert [path.name for path in files(place) - before] == ["lock"]


def files(place: Workshop) -> set:
    return {path for path in place.folder.rglob("*") if path.is_file()}


def test_ctrl_c_in_training_tells_what_is_kept_and_runs_tells_it_too(place):
    settings = ("head.solver=adam", "train.epochs=100000", "train.patience=100000", "train.checkpoint_seconds=0")
    process = place.start("run", str(place.config), *(word for one in settings for word in ("--set", one)), "--json")
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr))
    reader.start()
    checkpoints = place.folder / "runs" / "shapes" / "checkpoints"
    beat = threading.Event()
    while process.poll() is None and not any(checkpoints.glob("*.npz")):
        beat.wait(0.01)
    while_it_runs = place.graft("runs").value["runs"][-1]["status"]
    process.send_signal(signal.SIGINT)
    stdout = process.stdout.read()
    assert process.wait(60) == 130
    reader.join()
    value = json.loads(stdout)
    words = "train: interrupted by SIGINT; kept: 7 finished stages and the checkpoint of the training; "
    assert value["status"] == "interrupted" and value["error"] == f"{words}run the same command again"
    assert lines[-1] == f"graft: {value['error']}\n" and pathlib.Path(value["report"]).is_file()
    assert while_it_runs == "train running"
    assert place.graft("runs").value["runs"][-1]["status"] == "train interrupted"
    assert len(list(checkpoints.iterdir())) == 1 and not list(place.folder.rglob(".tmp-*"))
