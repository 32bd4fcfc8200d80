"""The source task: a small network learns digits 0-4 and is published as a TF-Hub style feature vector.

For MNIST it has three convolutions and learns from turned and shifted digits, so that its features say what a stroke
is wherever it lies; from 5 labels a class alone that cannot be learned.
"""

import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from graft.models.publish import publish_backbone
from graft.pipeline.demo.data import MNIST_SIDE, SOURCE_CLASSES, Images

FEATURES = 64

_BATCH_SIZE = 64
_LEARNING_RATE = 2e-3


def build_network(side: int) -> keras.Model:
    """Untrained; images float32 [n, side, side, 3] in [0, 1] -> features float32 [n, 64]."""
    return keras.Sequential(
        [
            keras.Input((side, side, 3)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(FEATURES, activation="relu"),
        ],
        name="digits",
    )


def build_mnist_network() -> keras.Model:
    """Untrained, three convolutions; images float32 [n, 28, 28, 3] in [0, 1] -> features float32 [n, 1024].

    Network, turns and shifts were chosen by leaving two of the source's classes out: of six choices it was the best
    where the network had learned three of the classes 0-4 and a linear head told the other two apart by 5 labels each.
    Test figures of 5-9 had been seen by then, for four other networks; docs/figures.md says more.
    """
    layers: list[keras.Layer] = [keras.Input((MNIST_SIDE, MNIST_SIDE, 3))]
    layers += [
        keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu") for filters in (16, 32, 64)
    ]
    return keras.Sequential([*layers, keras.layers.Flatten()], name="mnist")


def train_source(
    train: Images,
    held_out: Images,
    steps: int,
    seed: int,
    classes: int = len(SOURCE_CLASSES),
    build: Callable[[], keras.Model] | None = None,
) -> tuple[keras.Model, float]:
    """Trains the network with a classifier of the source's classes on top, and takes the classifier off again.

    Args:
        train: what to learn from.
        held_out: other digits of the same classes.
        steps: least number of optimizer steps, rounded up to whole epochs.
        seed: of weights and order.
        classes: how many; labels are 0 to one less.
        build: makes the untrained network; by default `build_network` for the size of the images.

    Returns:
        the network, and the accuracy on `held_out` it had with its classifier.
    """
    keras.utils.set_random_seed(seed)
    network = build() if build else build_network(train.pixels.shape[1])
    classifier = keras.Sequential([network, keras.layers.Dense(classes)])
    classifier.compile(
        keras.optimizers.Adam(_LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    epochs = -(-steps * _BATCH_SIZE // len(train.labels))
    classifier.fit(_colour(train.pixels), train.labels, batch_size=_BATCH_SIZE, epochs=epochs, verbose=0)
    return network, float(classifier.evaluate(_colour(held_out.pixels), held_out.labels, verbose=0)[1])


def publish(network: keras.Model, folder: pathlib.Path) -> None:
    """Writes the network as a backbone that any config can name."""
    height, width = network.input_shape[1:3]
    publish_backbone(network, folder, tf.TensorSpec([None, height, width, 3], tf.float32))


def _colour(pixels: np.ndarray) -> np.ndarray:
    """Grey as the pipeline decodes it: three equal channels."""
    return np.repeat(pixels[..., None], 3, axis=3)
