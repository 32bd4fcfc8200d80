"""The wheel as pip installs it: a client of a server beside grpcio and NumPy, and nothing outside `graft/`."""

import email
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import grpc
import numpy as np
import pytest
import typing_extensions

from graft.models import installation

ROOT = pathlib.Path(__file__).parents[2]
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
TYPES = "typing_extensions"
HOSTILE = ("components", "kubeflow", "models", "monitoring", "pipeline", "serving")


def run(
    folder: pathlib.Path, *words: str | pathlib.Path, path: pathlib.Path | None = None
) -> subprocess.CompletedProcess:
    """Without the packages of this environment, where a path of others is given."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = ["-S"] if path else []
    if path:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, *options, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built with the lock's setuptools, without a network."""
    copy, out = tmp_path_factory.mktemp("source") / "graft", tmp_path_factory.mktemp("wheel")
    packages = re.search(r"PACKAGES = \((.*)\)", (ROOT / "setup.py").read_text())[1].replace('"', "").split(", ")
    for name in packages:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "__init__.py", "py.typed"):
        shutil.copy(ROOT / name, copy / name)
    done = run(copy, "-W", "ignore", "-c", BUILD, out)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder of packages: the wheel, NumPy and grpcio, which in newer versions brings typing_extensions."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    for package in (grpc, np):
        home = pathlib.Path(package.__file__).parent
        for one in (home, home.with_name(f"{home.name}.libs")):
            if one.exists():
                (folder / one.name).symlink_to(one)
    for needed in metadata.requires("grpcio") or ():
        if "extra ==" not in needed:
            assert needed.startswith("typing-extensions"), needed
            (folder / TYPES).with_suffix(".py").symlink_to(typing_extensions.__file__)
    return folder


@pytest.fixture
def project(tmp_path):
    """A user's working directory with modules of the names of Graft's folders; importing one ends the process."""
    for name in HOSTILE:
        path = tmp_path / (f"{name}.py" if name == "models" else f"{name}/__init__.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"raise SystemExit('the module {name} of the user was imported')\n")
    return tmp_path


@pytest.mark.slow
def test_the_wheel_owns_graft_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"graft"}
    assert {"graft/py.typed", "graft/kubeflow/__init__.py", "graft/pipeline/templates/report.html.j2"} <= {*names}
    assert not [name for name in names if "tests" in name.split("/") or name == "graft/setup.py"]


def test_pip_needs_grpcio_and_numpy_alone(wheel):
    with zipfile.ZipFile(wheel) as opened:
        [name] = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(opened.read(name))
    needed = told.get_all("Requires-Dist")
    assert told["Name"] == installation.DISTRIBUTION
    assert [one for one in needed if "extra ==" not in one] == ["grpcio", "numpy"]
    assert 'tfx>=1.16; extra == "pipeline"' in needed and "pipeline" in told.get_all("Provides-Extra")
    # TFX wants <0.16: with a bound of our own beside TFX's, pip would find nothing.
    assert [one for one in needed if one.startswith("tensorflow-hub")] == ['tensorflow-hub; extra == "pipeline"']


CLIENT = """
import sys

import graft
import grpc
import numpy as np
from graft.serving.client import Client, ClientError

assert graft.Client is Client
address, folder = sys.argv[1:]
with graft.Client(address, "images") as client:
    contents = [open(f"{folder}/{name}", "rb").read() for name in ("red.png", "blue.png")]
    print([one.label for one in client.predict_contents(contents)], client.status()[0]["state"])
    try:
        client.predict_contents([contents[0], b"no image"])
    except ClientError as error:
        assert error.place == 1 and error.code is grpc.StatusCode.INVALID_ARGUMENT
    else:
        raise AssertionError("it was taken")
    try:
        client.predict_contents([open(f"{folder}/red.webp", "rb").read()])
    except ClientError as error:
        print(error)
with graft.Client(address, "texts") as client:
    print(client.predict_contents([b"one"])[0].kind)
with graft.Client(address, "half_plus_two") as client:
    print(client.predict({"x": np.float32([2, 4])})["y"].tolist(), client.metadata()["serving_default"]["inputs"])
found = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"__main__"}
print(sorted(name for name in found if not name.startswith("_") and name != "cython_runtime"))
try:
    graft.run
except graft.GraftError as error:
    print(error)
"""


def test_the_client_works_beside_grpcio_and_numpy_alone(site, project, server, png):
    """In a working directory that has modules of Graft's names."""
    import io

    from PIL import Image

    for name, colour in (("red", (250, 0, 0)), ("blue", (0, 0, 250))):
        (project / f"{name}.png").write_bytes(png(colour))
    webp = io.BytesIO()
    Image.new("RGB", (8, 8)).save(webp, "WEBP", lossless=True)
    (project / "red.webp").write_bytes(webp.getvalue())
    (project / "program.py").write_text(CLIENT)
    done = run(project, "program.py", server.grpc_address, project, path=site)
    assert done.returncode == 0, done.stderr
    labels, webp, kind, numbers, modules, error = done.stdout.splitlines()
    assert labels == "['apple', 'cheese'] AVAILABLE" and kind == "text"
    assert webp == "image 0: WEBP is converted with Pillow, which is not installed here"
    assert numbers == "[3.0, 4.0] {'x': {'dtype': 'float', 'shape': [-1]}}"
    assert modules.replace(f", '{TYPES}'", "") == "['graft', 'grpc', 'numpy']"
    assert error.startswith("graft.run needs the pipeline's packages, and absl, keras, pydantic")


ENTRY = "import sys; from graft.pipeline.entry import main; sys.exit(main())"  # as the script that pip makes


def test_the_command_asks_a_server_and_refuses_the_rest_in_one_line(site, project, server, png):
    (project / "photos").mkdir()
    for name, colour in (("red", (250, 0, 0)), ("blue", (0, 0, 250))):
        (project / "photos" / f"{name}.png").write_bytes(png(colour))
    words = ("predict", "photos", "--server", server.grpc_address, "--model", "images")
    done = run(project, "-c", ENTRY, *words, path=site)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["file"], row["label"]) for row in rows] == [("photos/blue.png", "cheese"), ("photos/red.png", "apple")]
    done = run(project, "-c", ENTRY, *words, "--json", "-o", "answers.json", path=site)
    assert done.returncode == 0, done.stderr
    assert len(json.loads((project / "answers.json").read_text())["predictions"]) == 2
    refused = run(project, "-c", ENTRY, "run", "flowers.yaml", path=site)
    assert (refused.returncode, refused.stdout) == (2, "") and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("graft: `run` needs the pipeline's packages, and absl, keras, pydantic")
    told = run(project, "-c", ENTRY, "--version", path=site)
    assert told.stdout.startswith("graft 0.1.0\nPython 3.") and "TensorFlow not installed" in told.stdout
