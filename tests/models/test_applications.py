"""`keras.applications` as backbones, with random weights (no network)."""

import inspect
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_inputs import pictures

from graft.models import application_inputs, applications
from graft.models.backbone import load_backbone
from graft.models.errors import GraftError

SIZE = (32, 32)
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)


def scaled(pixels: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    return pixels / 255.0 * (value_range[1] - value_range[0]) + value_range[0]


def test_every_network_of_keras_is_known():
    classes = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(application_inputs._VALUE_RANGES) == classes


@pytest.mark.parametrize("name", sorted(application_inputs._VALUE_RANGES))
def test_ranges_and_normalisation_equal_preprocess_input(name):
    """What the backbone makes of pixels in its range is what Keras makes of pixels from 0 to 255."""
    module = sys.modules[getattr(keras.applications, name).__module__]
    expected = module.preprocess_input(PIXELS.copy())
    images = keras.Input((*SIZE, 3))
    normalise = keras.Model(images, applications._normalise(name, images))
    given = normalise(scaled(PIXELS, application_inputs._VALUE_RANGES[name]))
    np.testing.assert_allclose(given, expected, atol=1e-3)


@pytest.mark.slow
def test_random_weights_are_the_same_each_time_and_leave_the_seed_alone():
    """The features stage and the training each build the network."""
    random.seed(7)
    expected = random.Random(7).random()
    first, again = (load_backbone("MobileNetV2?weights=none", pictures(SIZE, (-1, 1))) for _ in range(2))
    assert random.random() == expected
    assert first.identity == again.identity
    for one, other in zip(first.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_identity_is_the_same_in_every_load():
    """Their layers have names that Keras numbers anew each time; the features and a killed training go by it."""
    handles = [f"{name}?weights=none" for name in ("EfficientNetB0", "MobileNetV3Small")]
    found = [{load_backbone(handle, pictures(SIZE, (0, 255))).identity for _ in range(2)} for handle in handles]
    takes = f"image.Input(image.Options(image_size={SIZE}, value_range=(0, 255)))"
    script = "from graft.models.backbone import load_backbone; from graft.models.inputs import image; "
    script += f"[print(load_backbone(handle, {takes}).identity) for handle in {handles[::-1]}]"
    # Another process, in which Keras has drawn and numbered other things before.
    script = "import keras; keras.layers.Dense(2).build((1, 2)); keras.layers.Rescaling(1);" + script
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=200)
    assert found == [{identity} for identity in reversed(other.stdout.split())]


@pytest.mark.slow
@pytest.mark.parametrize("handle", ["MobileNetV2?weights=none", "applications:MobileNetV2?weights=none"])
def test_handles(handle):
    backbone = load_backbone(handle, pictures(SIZE, (-1.0, 1.0)))
    assert backbone.feature_dim == 1280
    assert backbone(scaled(PIXELS, (-1, 1))).shape == (2, 1280)
    assert len(backbone.units) > 100


def test_caffe_network_survives_a_round_trip(tmp_path):
    backbone = load_backbone("VGG16?weights=none", pictures(SIZE, (0.0, 255.0)), feature_layer="block1_pool")
    model = keras.Sequential([keras.Input((*SIZE, 3)), backbone])
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(PIXELS), backbone(PIXELS))


@pytest.mark.parametrize(
    ("handle", "value_range", "message"),
    [
        ("MobileNetV2?weights=none", (0, 1), r"from -1 to 1; input\.value_range is \[0\.0, 1\.0\]"),
        ("MobileNetV2?weight=none", (-1, 1), "the one option is weights"),
        ("MobileNetV2?weights=places365", (-1, 1), "received 'weights=places365'"),
        ("applications:MobilNetV2", (-1, 1), "did you mean MobileNetV2"),
        ("MobileNetv2", (-1, 1), "did you mean MobileNetV2"),
        ("applications:", (-1, 1), "no network ''"),
    ],
)
def test_refused(handle, value_range, message):
    with pytest.raises(GraftError, match=message):
        load_backbone(handle, pictures(SIZE, value_range))


def test_image_too_small():
    with pytest.raises(GraftError, match=r"refuses input\.image_size \[16, 16\]"):
        load_backbone("MobileNetV2?weights=none", pictures((16, 16), (-1, 1)))


@pytest.mark.slow
def test_weights_that_cannot_be_downloaded(monkeypatch, capsys):
    module = sys.modules[keras.applications.MobileNetV2.__module__]
    assert "file_utils.get_file" in inspect.getsource(module.MobileNetV2)

    def get_file(*_, origin, **__):
        print("Downloading data from", origin)
        raise Exception(f"URL fetch failure on {origin}: None -- no route to host")

    monkeypatch.setattr(module.file_utils, "get_file", lambda name, origin, **options: get_file(origin=origin))
    with pytest.raises(GraftError, match="cannot be downloaded: URL fetch failure"):
        load_backbone("MobileNetV2", pictures((224, 224), (-1, 1)))
    assert capsys.readouterr().out == ""


def test_weights_in_a_cache_that_others_may_write_to_are_refused(tmp_path, monkeypatch):
    """Some networks have no checksum, so that a file there would be taken as it is."""
    monkeypatch.setattr(applications.keras_config, "keras_home", lambda: str(tmp_path / "home"))
    (tmp_path / "home" / "models").mkdir(parents=True)
    (tmp_path / "home" / "models").chmod(0o777)
    with pytest.raises(GraftError, match="home/models: has mode 0777, so that others may write there"):
        load_backbone("MobileNetV2", pictures(SIZE, (-1, 1)))


@pytest.mark.slow
def test_a_pinned_network_has_its_identity(monkeypatch):
    handle = "MobileNetV3Small?weights=none"
    identity = load_backbone(handle, pictures(SIZE, (0, 255))).identity
    assert load_backbone(handle, pictures(SIZE, (0, 255)), sha256=identity).identity == identity
    with pytest.raises(GraftError, match=f"its sha256 is {identity}, expected {'0' * 64}"):
        load_backbone(handle, pictures(SIZE, (0, 255)), sha256="0" * 64)
