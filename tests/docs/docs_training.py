"""A small training for the transfer method that the documentation shows."""

import io
import pathlib
import types

import numpy as np
from PIL import Image

CLASSES = ["blue", "red"]
_SIDE, _EACH = 16, 16


def train_with(method: types.ModuleType, folder: pathlib.Path) -> float:
    """Trains by `method.fit` on pictures in two colours.

    Returns:
        the best eval accuracy.
    """
    import keras
    from small_inputs import pictures

    from graft.models.backbone import load_backbone
    from graft.models.heads import build_head
    from graft.models.options import HeadOptions, TrainOptions
    from graft.models.task import Task

    keras.utils.set_random_seed(0)
    images = keras.Input((_SIDE, _SIDE, 3))
    maps = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(images)
    path = folder / "network.keras"
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(maps)).save(path)
    backbone = load_backbone(str(path), pictures((_SIDE, _SIDE), (0.0, 1.0)))
    head = build_head(len(CLASSES), backbone.feature_dim, HeadOptions(), 0)
    splits = [_split(folder / name, backbone.feature_dim, seed) for seed, name in enumerate(("train", "eval"))]
    training = TrainOptions(epochs=12, batch_size=8)
    options = method.Options(learning_rate=0.02)
    history = method.fit(Task(CLASSES, backbone, head, *splits, options, training))
    return history.epochs[history.best_epoch - 1]["val_accuracy"]


def _split(folder: pathlib.Path, feature_dim: int, seed: int):
    import tensorflow as tf

    from graft.models.task import Split

    rng = np.random.default_rng(seed)
    folder.mkdir()
    labels = np.tile(np.arange(len(CLASSES)), _EACH)
    with tf.io.TFRecordWriter(str(folder / "data")) as writer:
        for label in labels:
            pixels = rng.integers(0, 120, (_SIDE, _SIDE, 3))
            pixels[..., 0 if CLASSES[label] == "red" else 2] += 120
            stream = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
            example = tf.train.Example()
            example.features.feature["input"].bytes_list.value.append(stream.getvalue())
            example.features.feature["label"].bytes_list.value.append(CLASSES[label].encode())
            writer.write(example.SerializeToString())
    # The method reads images; the features only tell how many there are.
    return Split(np.zeros((len(labels), feature_dim), np.float32), labels, [str(folder / "data")])
