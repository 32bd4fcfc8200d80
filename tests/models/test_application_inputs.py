"""What `graft init` knows of the networks of `keras.applications`, held against Keras itself."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

from graft.models import application_inputs
from graft.pipeline.cli import main


class Asked(Exception):
    """The size that Keras would give a network."""


# The two of MobileNetV3 take any size and name none.
@pytest.mark.parametrize(
    "name", sorted(n for n in application_inputs._VALUE_RANGES if "V3S" not in n and "V3L" not in n)
)
def test_sizes_are_those_of_keras(name, monkeypatch):
    from keras.src.applications import imagenet_utils

    def obtain(input_shape, default_size, **_):
        raise Asked(default_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", obtain)
    with pytest.raises(Asked) as asked:
        getattr(keras.applications, name)(weights=None)
    size = asked.value.args[0]
    assert application_inputs.input_settings(f"applications:{name}?weights=none")["image_size"] == [size, size]


@pytest.mark.parametrize("handle", ["backbone/1", "applications:NoSuchNet", "https://example.org/MobileNetV2", ""])
def test_other_handles_have_no_settings(handle):
    assert application_inputs.input_settings(handle) == {}


def test_no_keras_is_needed():
    code = "import sys; from graft.models import application_inputs; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_what_init_writes_its_own_dry_run_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 255, (9, 9, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    assert main(["init", "pets.yaml", "--backbone", "MobileNetV2?weights=none"]) == 0
    assert yaml.safe_load((tmp_path / "pets.yaml").read_text())["input"]["value_range"] == "auto"
    capsys.readouterr()
    assert main(["run", "pets.yaml", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["input"]["how"], found["input"]["fed"]) == (
        "checked",
        "table",
        "value_range [-1.0, 1.0]",
    )
    assert main(["run", "pets.yaml", "--dry-run", "--json", "--set", "input.value_range=[0, 1]"]) == 2
    assert "takes pixels from -1 to 1" in json.loads(capsys.readouterr().out)["error"]
