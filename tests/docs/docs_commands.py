"""The commands of the documentation: which kind each is, whether it exists, and a place to run it in."""

import ast
import contextlib
import dataclasses
import enum
import importlib.util
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
from docs_pages import TOP
from PIL import Image

CLASSES = {"daisy": (230, 225, 90), "rose": (200, 30, 40), "tulip": (60, 60, 210)}
"""Class -> its mean colour."""

_SIDE = 224
_VERBS = (
    "init",
    "run",
    "predict",
    "export",
    "models",
    "runs",
    "compare",
    "labels",
    "lineage",
    "kubeflow",
    "backbone",
    "label",
    "metrics",
    "config",
    "completion",
)


_LONG = [["graft", verb] for verb in ("demo", "rank", "curve", "monitor", "dashboard", "retrain")]


class Kind(enum.Enum):
    """What the test does with a command."""

    QUICK = "is run"
    SERVER = "is run in the background"
    LONG = "takes minutes or another program: is only checked to exist"
    UNKNOWN = "fails the test"


def kind_of(command: str) -> Kind:
    """The kind of a command line."""
    words = shlex.split(command)
    if words[0] == "graft" and words[1] in _VERBS:
        return Kind.QUICK
    if words[:2] == ["graft", "serve"]:
        return Kind.SERVER
    python = words[:2] == ["python", "-m"] and words[2].startswith("benchmarks.")
    if python or words[0] in ("make", "tensorflow_model_server") or words[:2] in _LONG:
        return Kind.LONG
    return Kind.UNKNOWN


def check_exists(command: str) -> None:
    """Raises AssertionError unless program, targets, module and options are there."""
    program, *words = shlex.split(command)
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    if program == "graft":
        from graft.pipeline import cli

        try:
            cli._parser().parse_args(words)
        except SystemExit as error:
            raise AssertionError(f"{command}: refused by the command line") from error
        known = options
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        asked = {word for word in words if "=" not in word}  # a variable stands as NAME=VALUE
        assert asked <= set(targets), f"{command}: targets are {targets}"
        known = options
    elif program == "python":
        found = importlib.util.find_spec(words[1])
        assert found is not None and found.origin is not None, f"{command}: no module {words[1]}"
        origin = pathlib.Path(found.origin)
        main = origin.with_name("__main__.py")  # of a package
        tree = ast.parse((main if origin.name == "__init__.py" else origin).read_text(encoding="utf-8"))
        known = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    else:
        from graft.serving.launch import serve_command

        known = [word.partition("=")[0] for word in serve_command(program, pathlib.Path("x"), 1, 1)]
    assert set(options) <= set(known), f"{command}: it takes {known}"


@dataclasses.dataclass
class Bench:
    """A folder with the photos and the backbone that the documentation speaks of."""

    folder: pathlib.Path
    server: subprocess.Popen | None = None
    address: str = ""

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command, in this process, which has paid for the imports already.

        A server is started on free ports as a process of its own and left running, until the next one.
        """
        from graft.pipeline import cli

        words = shlex.split(command)[1:]
        if kind_of(command) is Kind.SERVER:
            self.close()
            options = ["--embedded", "--grpc-port", "0", "--rest-port", "0", "--json"]
            graft = [sys.executable, "-m", "graft.pipeline.cli", *words, *options]
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            self.server = subprocess.Popen(graft, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True)
            line = self.server.stdout.readline()  # type: ignore[union-attr]
            if not line:
                return self.server.wait(), "the server ended"
            self.address = json.loads(line)["grpc"]
            return 0, line
        words = [self.address if word == "localhost:8500" else word for word in words]
        told = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = cli.main(words)
        return code, told.getvalue()

    def close(self) -> int | None:
        """Ends the server as Ctrl-C would; returns its exit code."""
        if self.server is None:
            return None
        self.server.terminate()
        try:
            return self.server.wait(60)
        finally:
            self.server.kill()


def make_bench(folder: pathlib.Path) -> Bench:
    """Draws 40 photos a class and publishes a small backbone."""
    shutil.copytree(TOP / "configs", folder / "configs")
    rng = np.random.default_rng(0)
    for label, colour in CLASSES.items():
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(1, 41):
            pixels = (np.array(colour) + rng.normal(0, 20, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{number:03d}.jpg")
    import keras
    from small_inputs import pictures

    from graft.models.publish import publish_backbone

    model = keras.Sequential(
        [
            keras.Input((_SIDE, _SIDE, 3)),
            keras.layers.AveragePooling2D(56),
            keras.layers.Conv2D(
                32, 1, activation="relu", kernel_initializer=keras.initializers.RandomNormal(0, 5, seed=0)
            ),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    publish_backbone(model, folder / "backbone" / "1", pictures((_SIDE, _SIDE)).spec)
    (folder / "labels.csv").write_text("request_id,row,label\n5f0c7c1e9c3b4e0e8b6f3f5d5a2c9e11,0,rose\n")
    return Bench(folder)
