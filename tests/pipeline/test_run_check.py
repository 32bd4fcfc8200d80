"""The check before a run: the backbone is tried on the data's own images, once."""

import logging
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_images import image_file
from small_inputs import pictures

from graft.models import backbone as backbones
from graft.models.errors import GraftError
from graft.pipeline import run
from graft.pipeline.config import Config

SIDE = 16


def shades(rng: np.random.Generator, count: int) -> np.ndarray:
    """Coarse pictures of one part in 25 of the contrast there is, uint8 [n, 16, 16, 3]."""
    coarse = rng.uniform(122, 133, (count, 4, 4, 3)).astype(np.float32)
    return tf.image.resize(coarse, (SIDE, SIDE)).numpy().round().astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Pictures of low contrast in two classes, and a network that learned from such."""
    root = tmp_path_factory.mktemp("low_contrast")
    rng = np.random.default_rng(0)
    for name in ("benign", "malign"):
        (root / "data" / name).mkdir(parents=True)
        for number, pixels in enumerate(shades(rng, 20)):
            (root / "data" / name / f"{number}.png").write_bytes(image_file(pixels))
    keras.utils.set_random_seed(0)
    layers = [keras.Input((SIDE, SIDE, 3))]
    for _ in range(3):
        layers += [keras.layers.Conv2D(12, 3, use_bias=False)]  # unpadded: a black border would be contrast
        layers += [keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-6), keras.layers.ReLU()]
    model = keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D()])
    model(shades(rng, 64) / np.float32(255.0), training=True)
    model.save(root / "network.keras")
    return root


def config(folder: pathlib.Path, root: pathlib.Path, **input) -> Config:
    sections = {
        "data": {"source": "image_folder", "path": str(folder / "data")},
        "input": {"image_size": (SIDE, SIDE), "value_range": (0, 1), **input},
        "backbone": {"handle": str(folder / "network.keras")},
    }
    return Config.model_validate({"name": "xray", "root": str(root), **sections})


@pytest.mark.slow
def test_a_network_is_tried_on_the_images_it_is_for(folder, tmp_path):
    loaded = backbones.load_backbone(str(folder / "network.keras"), pictures((SIDE, SIDE), (0, 1)))
    with pytest.raises(GraftError, match="narrower value range"):
        backbones.check_backbone(loaded)  # noise is nothing it has ever seen
    run.check(config(folder, tmp_path))


@pytest.mark.slow
def test_a_wrong_range_is_refused_on_real_images(folder, tmp_path, caplog):
    wrong = {"value_range": (0, 255)}
    with pytest.raises(GraftError, match=r"takes a narrower value range \(input\.check_range: false, if"):
        run.check_backbone(config(folder, tmp_path, **wrong))
    with caplog.at_level(logging.WARNING):
        run.check_backbone(config(folder, tmp_path, **wrong, check_range=False))
    assert "value_range [0.0, 255.0] is not judged: input.check_range is false" in caplog.text


def test_noise_where_no_image_can_be_read(folder, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("graft.components.ingest.sample.sample_contents", lambda *_: [])
    with pytest.raises(GraftError, match="narrower value range"), caplog.at_level(logging.WARNING):
        run.check_backbone(config(folder, tmp_path))
    assert "0 usable images at the start of the data; it is checked on drawn ones" in caplog.text


def test_once_for_each_backbone_and_data(folder, tmp_path, monkeypatch):
    checked = []
    monkeypatch.setattr(backbones, "check_backbone", lambda backbone, *_: checked.append(backbone.takes.value_range))
    first = config(folder, tmp_path)
    for one in (first, first, config(folder, tmp_path, value_range=(0, 2))):
        run.check_backbone(one)
    assert checked == [(0, 1), (0, 2)]
    other = first.model_copy(update={"data": first.data.model_copy(update={"window": 2})})
    run.check_backbone(other)
    run.check_backbone(other)
    assert checked == [(0, 1), (0, 2), (0, 1)]


@pytest.mark.slow
def test_a_dry_run_over_a_checked_backbone_needs_no_tensorflow(folder, tmp_path):
    checked = config(folder, tmp_path)
    run.check(checked)
    code = (
        "import json, sys; from pipeline import run; from graft.pipeline.config import Config;"
        f"run.check(Config.model_validate(json.loads({checked.model_dump_json(by_alias=True)!r})));"
        "print([name for name in ('tensorflow', 'keras', 'tfx') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
