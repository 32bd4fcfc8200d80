import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.models.errors import GraftError
from graft.models.run_warning import RunWarning
from graft.pipeline import config as configs
from graft.pipeline import settling

SIDE, CLASSES, EACH = 8, ("dark", "light"), 60
RANGES = [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Two classes that middle grey parts in two of the channels; the third is noise."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for place in range(EACH):
            pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            pixels[:, :, :2] = random.integers(80 + 30 * number, 140 + 30 * number, (SIDE, SIDE, 2))
            Image.fromarray(pixels).save(folder / name / f"{place}.png")
    return folder


def publish(folder, grey):
    """A network for one range, that in which middle grey has this value."""

    @tf.function(autograph=False)
    def call(images, training=False):
        above = tf.cast(images[:, :, :, :2] > grey, tf.float32) * (1.0 + weight)
        return tf.reshape(tf.concat([above, images[:, :, :, 2:]], axis=-1), [-1, SIDE * SIDE * 3])

    weight = tf.Variable(0.0, name="weight")
    for training in (False, True):
        call.get_concrete_function(tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, name="inputs"), training=training)
    published = tf.train.Checkpoint()
    published.__call__, published.regularization_losses = call, []
    published.variables = published.trainable_variables = [weight]
    tf.saved_model.save(published, str(folder))


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbones")
    publish(folder / "unit", 0.5)
    publish(folder / "symmetric", 0.0)
    return folder


def config(images, handle, root, **input):
    return configs.parse(
        {
            "name": "t",
            "root": str(root),
            "store": str(root / "store"),
            "data": {"source": "image_folder", "path": str(images)},
            "input": {"image_size": [SIDE, SIDE], **input},
            "backbone": {"handle": str(handle)},
        },
        "test",
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "expected"), [("unit", (0.0, 1.0)), ("symmetric", (-1.0, 1.0))])
def test_range_is_chosen_on_training_images_and_kept(images, backbones, tmp_path, monkeypatch, name, expected):
    given = config(images, backbones / name, tmp_path)
    found = settling.settle(given)
    assert (found.config.input.value_range, found.how, found.warnings) == (expected, "probe", ())
    assert found.text.startswith(f"value_range {list(expected)}: cross-validated loss on ")
    assert given.input.value_range == "auto"
    # The second time nothing is computed.
    monkeypatch.setattr(settling, "_compare", None)
    assert settling.settle(given).to_json() == found.to_json()
    # What was found out of all of them answers for the one that won and for those that lost.
    by_hand = [settling.settle(config(images, backbones / name, tmp_path, value_range=one)) for one in RANGES]
    assert [one.warnings == () for one in by_hand] == [one == expected for one in RANGES]


@pytest.mark.slow
def test_range_given_that_does_worse_is_named_and_a_right_one_is_not(images, backbones, tmp_path):
    wrong = settling.settle(config(images, backbones / "symmetric", tmp_path, value_range=[0, 1]))
    assert wrong.config.input.value_range == (0.0, 1.0)
    (warning,) = wrong.warnings
    assert (warning.code, warning.grave) == ("input_worse", True)
    assert warning.text.startswith("input.value_range [0.0, 1.0] does worse than value_range [-1.0, 1.0]: cross-")
    assert settling.settle(config(images, backbones / "symmetric", tmp_path, value_range=[-1, 1])).warnings == ()


@pytest.mark.slow
def test_verdict_that_is_kept_needs_no_tensorflow(images, backbones, tmp_path):
    raw = config(images, backbones / "unit", tmp_path).model_dump(mode="json", by_alias=True)
    code = (
        "import json, sys; from graft.pipeline import config, settling;"
        "found = settling.settle(config.parse(json.loads(sys.argv[1]), 'test'));"
        "print(found.how, found.config.input.value_range, 'tensorflow' in sys.modules)"
    )
    told = []
    for _ in range(2):
        command = [sys.executable, "-c", code, json.dumps(raw)]
        told.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    assert told == ["probe (0.0, 1.0) True", "probe (0.0, 1.0) False"]


@pytest.mark.slow
def test_numbers_settle_too(images, backbones, tmp_path):
    shades = {"dark": 110, "light": 140}
    rows = [f"{images / name / f'{n}.png'},{shades[name] + n / 60}" for n in range(EACH) for name in CLASSES]
    (tmp_path / "rows.csv").write_text("\n".join(["path,shade", *rows]))
    raw = config(images, backbones / "symmetric", tmp_path).model_dump(mode="json", exclude={"data", "target"})
    raw |= {"data": {"source": "csv", "path": str(tmp_path / "rows.csv")}}
    raw |= {"target": {"kind": "numbers", "columns": ["shade"]}, "gates": {}}
    found = settling.settle(configs.parse(raw, "test"), remember=False)
    assert (found.config.input.value_range, found.how) == ((-1.0, 1.0), "probe"), found


def test_range_that_a_module_is_not_for_is_named(tmp_path):
    """Google's modules are known by their address alone."""
    handle = "https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5"
    wrong = config(tmp_path, handle, tmp_path, value_range=[-1, 1])
    (warning,) = settling.settle(wrong).warnings
    assert warning.code == "input_unlike" and "value_range [-1.0, 1.0] is not what the backbone is for" in warning.text
    assert settling.settle(config(tmp_path, handle, tmp_path, value_range=[0, 1])).warnings == ()
    assert settling.settle(config(tmp_path, handle, tmp_path, value_range=[-1, 1], check_range=False)).warnings == ()


def test_trusted_range_is_not_compared(images, backbones, tmp_path):
    trusted = config(images, backbones / "symmetric", tmp_path, value_range=[0, 1], check_range=False)
    assert settling.settle(trusted) == settling.Settlement(trusted)
    assert list(tmp_path.iterdir()) == []


def test_dry_run_writes_nothing(images, backbones, tmp_path):
    assert settling.settle(config(images, backbones / "unit", tmp_path), remember=False, judge=False).how == "probe"
    assert list(tmp_path.iterdir()) == []


def test_table_needs_no_data(tmp_path):
    found = settling.settle(config(tmp_path / "absent", "EfficientNetB0", tmp_path, image_size=[224, 224]))
    assert (found.config.input.value_range, found.how) == ((0.0, 255.0), "table")
    assert found.text == "value_range [0.0, 255.0]: the table of keras.applications has it"


def test_few_images_are_said_not_to_prove_anything(images, backbones, tmp_path):
    few = tmp_path / "few"
    for name in CLASSES:
        (few / name).mkdir(parents=True)
        for file in sorted((images / name).iterdir())[:12]:
            (few / name / file.name).write_bytes(file.read_bytes())
    found = settling.settle(config(few, backbones / "unit", tmp_path))
    assert (found.config.input.value_range, found.how) == ((0.0, 1.0), "default")
    (warning,) = found.warnings
    assert isinstance(warning, RunWarning)
    assert "too few for a comparison" in warning.text


def test_without_data_only_what_is_known_settles(images, backbones, tmp_path):
    known = config(images, "MobileNetV2", tmp_path)
    assert settling.settle_known(known, "a compilation").input.value_range == (-1.0, 1.0)
    with pytest.raises(GraftError, match=r"^input\.value_range: auto needs a look at data and backbone .* a compil"):
        settling.settle_known(config(images, backbones / "unit", tmp_path), "a compilation")
