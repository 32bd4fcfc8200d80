"""What `publish_backbone` writes is a Reusable SavedModel that trains in other hands."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures

from graft.models.backbone import load_backbone
from graft.models.errors import GraftError
from graft.models.publish import publish_backbone

pytestmark = pytest.mark.graph

X = np.random.default_rng(0).uniform(size=(4, 12, 12, 3)).astype(np.float32)


def model() -> keras.Model:
    layers = [
        keras.Input((12, 12, 3)),
        keras.layers.Conv2D(5, 3, kernel_regularizer=keras.regularizers.L2(0.1), name="conv"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.5),
    ]
    return keras.Sequential(layers)


def test_interface(tmp_path):
    source = model()
    publish_backbone(source, tmp_path, pictures((12, 12)).spec)
    loaded = tf.saved_model.load(str(tmp_path))
    expected = tf.reduce_mean(source(X), axis=[1, 2])
    np.testing.assert_allclose(loaded(X), expected, atol=1e-6)
    np.testing.assert_allclose(loaded(X, training=False), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.signatures["serving_default"](inputs=X)["feature_vector"], expected, atol=1e-6)
    assert loaded(X[:0]).shape == (0, 5)
    assert (len(loaded.variables), len(loaded.trainable_variables)) == (7, 4)  # with the seed of the dropout
    penalty = [float(loss()) for loss in loaded.regularization_losses]
    assert penalty == [pytest.approx(float(0.1 * np.sum(source.layers[0].kernel.numpy() ** 2)), rel=1e-5)]


def test_training_trace_moves_statistics_and_drops(tmp_path):
    publish_backbone(model(), tmp_path, pictures((12, 12)).spec)
    loaded = tf.saved_model.load(str(tmp_path))
    mean = next(variable for variable in loaded.variables if "moving_mean" in variable.name)
    first, second = loaded(X, training=True), loaded(X, training=True)
    assert np.any(mean.numpy() != 0) and np.any(first.numpy() != second.numpy())


def test_a_frozen_layer_stays_out_of_the_trainable_variables(tmp_path):
    source = model()
    source.layers[0].trainable = False
    publish_backbone(source, tmp_path, pictures((12, 12)).spec)
    backbone = load_backbone(str(tmp_path), pictures((12, 12), (0, 1)), trainable=True)
    assert [len(unit) for unit in backbone.units] == [2]
    backbone(X)
    assert backbone.losses == []


@pytest.mark.slow
def test_a_loaded_backbone_can_be_published_again(tmp_path):
    publish_backbone(model(), tmp_path / "first", pictures((12, 12)).spec)
    backbone = load_backbone(str(tmp_path / "first"), pictures((12, 12), (0, 1)), trainable=True)
    publish_backbone(backbone, tmp_path / "second", pictures((12, 12)).spec)
    again = load_backbone(str(tmp_path / "second"), pictures((12, 12), (0, 1)), trainable=True)
    np.testing.assert_allclose(again(X), backbone(X), atol=1e-6)
    assert [len(unit) for unit in again.units] == [len(unit) for unit in backbone.units]


def test_refused(tmp_path):
    with pytest.raises(GraftError, match=r"does not take float32\(None, 2, 2, 3\)"):
        publish_backbone(model(), tmp_path, tf.TensorSpec([None, 2, 2, 3]))
    tokens = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Reshape((12, 36))])
    with pytest.raises(GraftError, match=r"it gives \[\(None, 12, 36\)\]"):
        publish_backbone(tokens, tmp_path, pictures((12, 12)).spec)
