"""Cutting Keras networks at a feature layer."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.keras_body import cut_model, load_keras_file


def model() -> keras.Model:
    images = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, name="conv")(images)
    hidden = keras.layers.GlobalAveragePooling2D(name="pool")(hidden)
    return keras.Model(images, keras.layers.Dense(6, name="embedding")(hidden))


X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def test_cut_keeps_vectors_and_pools_maps():
    whole = model()
    np.testing.assert_array_equal(cut_model(whole, "m", None)(X), whole(X))
    np.testing.assert_allclose(cut_model(whole, "m", "conv")(X), cut_model(whole, "m", "pool")(X), atol=1e-6)
    assert cut_model(whole, "m", "conv").output_shape == (None, 4)


def test_cut_leaves_out_what_comes_after():
    assert [layer.name for layer in cut_model(model(), "m", "pool").layers][-1] == "pool"


def test_unknown_layer_lists_the_last_ones_when_none_is_near():
    with pytest.raises(GraftError, match=r"no layer 'zzz'; near names: .*conv, pool, embedding"):
        cut_model(model(), "m", "zzz")


def test_sequential_file_and_file_with_two_inputs(tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]).save(tmp_path / "one.keras")
    assert cut_model(load_keras_file(str(tmp_path / "one.keras"))[1], "m", None)(X).shape == (2, 192)
    inputs = [keras.Input((3,)), keras.Input((3,))]
    keras.Model(inputs, keras.layers.Add()(inputs)).save(tmp_path / "two.keras")
    with pytest.raises(GraftError, match="with one input"):
        load_keras_file(str(tmp_path / "two.keras"))


def test_file_with_unknown_code_is_refused(tmp_path):
    images = keras.Input((8, 8, 3))
    keras.Model(images, keras.layers.Lambda(lambda x: x[:, 0, 0])(images)).save(tmp_path / "code.keras")
    with pytest.raises(GraftError, match=r"holds the class 'Lambda' \(keras\.layers\)"):
        load_keras_file(str(tmp_path / "code.keras"))
    with pytest.raises(GraftError, match="cannot be loaded by Keras"):  # whose safe mode stays on
        load_keras_file(str(tmp_path / "code.keras"), trust=True)


@pytest.mark.parametrize("kind", ["external dataset", "external link", "soft link", "virtual dataset"])
def test_weights_that_lie_in_another_file_are_refused(tmp_path, kind):
    """Keras' own guard: an HDF5 file can name any file of the machine as the place of its data."""
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.ones((3, 2), np.float32)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")]).save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        variables = file["layers/dense/vars"]
        del variables["0"]
        if kind == "external dataset":
            variables.create_dataset("0", (3, 2), np.float32, external=[(str(secret), 0, 24)])
        elif kind == "external link":
            variables["0"] = h5py.ExternalLink(str(secret), "data")
        elif kind == "soft link":
            variables["0"] = h5py.SoftLink("/layers/dense/vars/1")
        else:
            layout = h5py.VirtualLayout((3, 2), np.float32)
            layout[:] = h5py.VirtualSource(str(secret), "data", (3, 2))
            variables.create_virtual_dataset("0", layout)
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        for name, content in (members | {"model.weights.h5": weights.getvalue()}).items():
            archive.writestr(name, content)
    with pytest.raises(GraftError, match="Not allowed") as caught:
        load_keras_file(str(tmp_path / "net.keras"), trust=True)
    assert "\n" not in str(caught.value)
