"""A small real pipeline, run once for all slow tests of a session. Fixtures, which tests/conftest.py makes known."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

CLASSES = {"brick": (170, 90, 70), "grass": (90, 160, 80), "sea": (80, 100, 170)}
"""Class -> its mean colour."""

STAGES = (
    "ingest",
    "statistics",
    "schema",
    "validate",
    "data_gate",
    "transform",
    "features",
    "train",
    "predict",
    "evaluate",
    "labels",
    "quality_gate",
    "serving_check",
    "push",
)
GRAFT = (sys.executable, "-m", "graft.pipeline.cli")
SIDE = 24


def draw(label: str, rng: np.random.Generator) -> np.ndarray:
    """A picture of a class, uint8 [24, 24, 3], varied enough for mistakes."""
    shade = np.array(CLASSES[label]) + rng.normal(0, 25, 3)
    return (shade + rng.normal(0, 40, (SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8)


def write_pictures(folder: pathlib.Path, each: int = 40) -> pathlib.Path:
    """Writes `each` PNG files of every class and a CSV with the columns path, label, camera and year."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    with (folder / "pictures.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "camera", "year"))
        for label in CLASSES:
            for number in range(each):
                name = f"{label}-{number:03d}.png"
                Image.fromarray(draw(label, rng)).save(folder / name)
                writer.writerow((name, label, ("left", "right")[number % 2], 2020 + number % 3))
    return folder / "pictures.csv"


def write_backbone(folder: pathlib.Path, seed: int = 0) -> pathlib.Path:
    """Publishes a small random convolutional network as a hub-style SavedModel."""
    import keras
    from small_inputs import pictures

    from graft.models.publish import publish_backbone

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    publish_backbone(model, folder, pictures((SIDE, SIDE)).spec)
    return folder


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, its JSON object, standard error."""

    code: int
    value: dict[str, Any]
    stderr: str


@dataclasses.dataclass(frozen=True)
class Workshop:
    """A folder to run `graft` in, with data, a backbone and a configuration."""

    folder: pathlib.Path
    config: pathlib.Path

    def start(self, *args: str) -> subprocess.Popen:
        """Starts `graft` as a process of its own."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*GRAFT, *args], cwd=self.folder, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **pipes)

    def run(self, *args: str) -> Outcome:
        """Runs `graft run CONFIG ... --json` as a process of its own."""
        process = self.start("run", str(self.config), *args, "--json")
        stdout, stderr = process.communicate(timeout=400)
        return Outcome(process.returncode, json.loads(stdout), stderr)

    def graft(self, *args: str) -> Outcome:
        """Runs `graft ... --json` in this process, which has paid for the imports already."""
        from graft.pipeline import cli

        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = cli.main([*args, "--json"])
        return Outcome(code, json.loads(stdout.getvalue()), stderr.getvalue())

    def again(self, *args: str) -> Outcome:
        """`run` in this process."""
        return self.graft("run", str(self.config), *args)

    def beside(self, folder: pathlib.Path) -> "Workshop":
        """The same data, backbone and configuration in another folder, where nothing was run; values were compared."""
        folder.mkdir(exist_ok=True)
        compared = self.folder / "runs" / "shapes" / "settled_input"
        if compared.is_dir():
            shutil.copytree(compared, folder / "runs" / "shapes" / "settled_input", dirs_exist_ok=True)
        return Workshop(folder, self.config)

    @property
    def store(self) -> pathlib.Path:
        """The model store."""
        return self.folder / "runs" / "store"

    def artifact(self, stage: str, key: str) -> pathlib.Path:
        """Folder of the newest artifact of a stage."""
        return max((self.folder / "runs" / "shapes" / "artifacts" / stage / key).iterdir(), key=lambda p: int(p.name))


def make_workshop(folder: pathlib.Path) -> Workshop:
    """Draws the pictures, publishes the backbone, writes the configuration."""
    content = {
        "name": "shapes",
        "data": {
            "source": "csv",
            "path": str(write_pictures(folder / "data")),
            "slices": ["camera", "year"],
            "split": {"eval": 0.2, "test": 0.3},
        },
        "input": {"image_size": [SIDE, SIDE], "value_range": [0, 1]},
        "backbone": {"handle": str(write_backbone(folder / "backbone"))},
        "train": {"epochs": 15, "learning_rate": 0.1, "batch_size": 16},
        "gates": {"accuracy": 0.5, "slices": {"camera": {"accuracy": 0.4, "min_examples": 5}}},
    }
    config = folder / "shapes.yaml"
    config.write_text(yaml.safe_dump(content))
    return Workshop(folder, config)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Workshop:
    """Data, backbone and configuration; nothing was run."""
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def first_run(workshop) -> Outcome:
    """The first run of the pipeline in `workshop`; it pushes version 1.

    It finds the value range by itself, which is that of the configuration: for later runs all of it is cached.
    """
    return workshop.again("--set", "input.value_range=auto")
