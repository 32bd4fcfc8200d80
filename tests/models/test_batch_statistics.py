"""Statistics of batch normalisation are those of the data, whatever the moving averages had reached."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures

from graft.models.backbone import load_backbone
from graft.models.batch_statistics import BatchStatistics
from graft.models.publish import publish_backbone

pytestmark = pytest.mark.graph

SPEC = tf.TensorSpec([None, 8, 8, 3], tf.float32)


def batches(count: int, last: int = 0) -> list[tf.Tensor]:
    rng = np.random.default_rng(0)
    sizes = [16] * count + ([last] if last else [])
    return [tf.constant(rng.normal(5.0, 3.0, (n, 8, 8, 3)), tf.float32) for n in sizes]


def network(momentum: float) -> keras.Model:
    images = keras.Input((8, 8, 3))
    maps = keras.layers.BatchNormalization(momentum=momentum, name="norm")(images)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(maps))


def statistics(variables) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables if "moving_" in variable.name]


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.999])
def test_weighted_mean_over_the_batches(momentum):
    model, data = network(momentum), batches(6, last=1)
    BatchStatistics(model, model.variables, SPEC).estimate(data)
    weights = np.array([momentum ** (5 - i) for i in range(6)])
    moments = np.array([[np.mean(x, axis=(0, 1, 2)), np.var(x, axis=(0, 1, 2))] for x in data[:6]])
    expected = np.tensordot(weights / weights.sum(), moments, 1)
    np.testing.assert_allclose(statistics(model.variables), expected, rtol=2e-3)
    np.testing.assert_allclose(model(data[0]), np.zeros((16, 3)), atol=0.5)


def test_a_published_network_shows_its_momentum(tmp_path):
    publish_backbone(network(0.99), tmp_path, pictures((8, 8)).spec)
    backbone = load_backbone(str(tmp_path), pictures((8, 8), (0.0, 1.0)), trainable=True)
    data = batches(3)
    BatchStatistics(backbone, backbone.variables, SPEC).estimate(data)
    images = np.concatenate(data)
    mean, variance = sorted(statistics(backbone.variables), key=np.mean)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=0.02)
    np.testing.assert_allclose(variance, images.var(axis=(0, 1, 2)), rtol=0.02)


def test_what_training_leaves_alone_stays():
    model = network(0.9)
    model.get_layer("norm").trainable = False
    before = statistics(model.variables)
    BatchStatistics(model, model.variables, SPEC).estimate(batches(2))
    np.testing.assert_array_equal(statistics(model.variables), before)


def test_no_more_than_sixteen_batches_are_read():
    model, read = network(0.9), []
    given = (read.append(i) or batch for i, batch in enumerate(batches(20)))
    BatchStatistics(model, model.variables, SPEC).estimate(given)
    assert read == list(range(16))
