"""Features in one pass against the backbone called on the same pixels."""

import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_images import image_file
from small_inputs import WIDTH, pictures, publish_text_encoder, texts

from graft.models.backbone import Backbone, load_backbone
from graft.models.errors import GraftError
from graft.models.features import check_same_backbone, extract_features, feature_runner, write_backbone
from graft.models.inputs.image.decoding import preprocess

pytestmark = pytest.mark.graph


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> Backbone:
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "small.keras"
    layers = [
        keras.layers.Conv2D(16, 3, 2),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Dropout(0.5),
    ]
    keras.Sequential([keras.Input((32, 32, 3)), *layers]).save(path)
    return load_backbone(str(path), pictures((32, 32), (0, 1)))


@pytest.fixture(scope="module")
def encoded() -> list[bytes]:
    rng = np.random.default_rng(0)
    images = []
    for number in range(21):
        pixels = rng.integers(0, 256, (20 + number, 40, 3), dtype=np.uint8)
        images.append(image_file(pixels, "JPEG" if number % 2 else "PNG"))
    return images


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [4, 64])
def test_rows_follow_the_input_and_equal_the_plain_pass(backbone, encoded, batch_size):
    done = []
    features = extract_features(backbone, iter(encoded), batch_size, done.append)
    expected = backbone(backbone.takes.prepare(encoded))
    assert features.dtype == np.float32 and sum(done) == len(encoded)
    np.testing.assert_allclose(features, expected, atol=1e-4)


@pytest.mark.slow
def test_no_images(backbone):
    assert extract_features(backbone, []).shape == (0, backbone.feature_dim)


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 20])
def test_the_unreadable_image_is_named(backbone, encoded, place):
    damaged = [*encoded[:place], encoded[place][:50], *encoded[place + 1 :]]
    with pytest.raises(GraftError, match=rf"image {place} of the input \(50 bytes\) cannot be decoded: Invalid"):
        extract_features(backbone, damaged, batch_size=4)


@pytest.mark.slow
def test_error_of_the_source_comes_through(backbone, encoded):
    def source():
        yield from encoded[:5]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        extract_features(backbone, source(), batch_size=2)


@pytest.mark.slow
def test_training_state_does_not_matter(backbone, encoded):
    frozen = extract_features(backbone, encoded)
    backbone.unfreeze(1.0)
    np.testing.assert_array_equal(extract_features(backbone, encoded), frozen)
    backbone.unfreeze(0.0)


@pytest.mark.slow
def test_runner_holds_the_weights_of_then(backbone, encoded):
    batch = np.array(encoded[:2], object)
    kernel = backbone.body.weights[0]
    with feature_runner(backbone) as runner:
        before = runner(contents=batch)["output"]
        kernel.assign(kernel * 2.0)
        np.testing.assert_array_equal(runner(contents=batch)["output"], before)
    assert np.abs(extract_features(backbone, encoded[:2]) - before).max() > 1e-4
    kernel.assign(kernel / 2.0)


@pytest.mark.slow
def test_published_mobilenet_on_photos(graft_data):
    handle = graft_data / "backbones" / "hub_style_mobilenet_v2_feature_vector" / "1"
    backbone = load_backbone(str(handle), pictures((224, 224), (0, 1)))
    photos = [file.read_bytes() for file in sorted((graft_data / "trashnet").glob("*/*"))[::30]]
    expected = backbone(preprocess(photos, (224, 224), (0, 1)))
    np.testing.assert_allclose(extract_features(backbone, photos), expected, atol=1e-4)


def test_features_belong_to_the_backbone_that_made_them(backbone, tmp_path):
    with pytest.raises(GraftError, match=r"backbone\.json: missing; the features stage writes it"):
        check_same_backbone(tmp_path, backbone)
    write_backbone(tmp_path, backbone)
    check_same_backbone(tmp_path, backbone)
    moved = pathlib.Path(shutil.copy(backbone.handle, tmp_path / "moved.keras"))
    check_same_backbone(tmp_path, load_backbone(str(moved), pictures((32, 32), (0, 1))))
    with pytest.raises(
        GraftError, match=r"value_range.: \[0\.0, 1\.0\]}, but backbone .*moved.* has .*\[0\.0, 255\.0\]"
    ):
        check_same_backbone(tmp_path, load_backbone(str(moved), pictures((32, 32), (0, 255))))
    model = keras.models.load_model(moved)
    model.layers[0].kernel.assign(model.layers[0].kernel * 2)
    model.save(moved)
    with pytest.raises(GraftError, match="the features are of another backbone: identity"):
        check_same_backbone(tmp_path, load_backbone(str(moved), pictures((32, 32), (0, 1))))


def test_texts_become_vectors_too(tmp_path):
    publish_text_encoder(tmp_path)
    backbone = load_backbone(str(tmp_path), texts())
    contents = [b"the parcel came late", b"late the parcel came", b"it rains", "Größe".encode()] * 3
    features = extract_features(backbone, contents)
    np.testing.assert_allclose(features, backbone(tf.constant(contents)), atol=1e-6)
    assert extract_features(backbone, []).shape == (0, WIDTH)
