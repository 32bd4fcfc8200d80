"""Full fine-tuning beside Keras' own `fit` on the same network.

    python -m benchmarks.fine_tune [--images 256] [--size 96] [--batch 32] [--rounds 3] [--json]

Both train all of a MobileNetV2 with drawn weights and a linear head by Adam, on the same noise as PNG files in
TFRecords, one epoch a round, in one process and in turns, so that a busy machine slows both. Graft's epoch is that of
`models.loop`: shuffled, decoded, learned. The plain one is what a user would write: a `tf.data` pipeline of the same
records, with batch normalisation in inference as Keras' guide to fine-tuning has it, and `model.fit`. Evaluation is
left out of both, and so is the first round, which traces. `TF_ENABLE_ONEDNN_OPTS` is as the environment says.
"""

import argparse
import io
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable

from benchmarks import spread

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from graft.models import loop, targets
from graft.models.backbone import load_backbone
from graft.models.examples import INPUT
from graft.models.heads import build_head
from graft.models.inputs import image
from graft.models.inputs.image.decoding import preprocess
from graft.models.options import HeadOptions, TrainOptions
from graft.models.phase import Pass, Phase
from graft.models.standard_phases import backbone_phase
from graft.models.task import Split, Task
from graft.models.transfer import parse_options

HANDLE, VALUE_RANGE, CLASSES, RATE = "applications:MobileNetV2?weights=none", (-1.0, 1.0), 10, 1e-4


def write_examples(path: pathlib.Path, count: int, size: int) -> np.ndarray:
    """Noise as PNG in a TFRecord file; returns its labels."""
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for pixels in rng.integers(0, 256, (count, size, size, 3), np.uint8):
            stream = io.BytesIO()
            Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
            feature = {INPUT: tf.train.Feature(bytes_list=tf.train.BytesList(value=[stream.getvalue()]))}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return rng.integers(0, CLASSES, count)


def graft_epochs(path: pathlib.Path, labels: np.ndarray, size: int, batch: int) -> Callable[[int], list[float]]:
    """A function that trains some epochs and returns the seconds of each."""
    taken = image.Input(image.Options(image_size=(size, size), value_range=VALUE_RANGE))
    backbone = load_backbone(HANDLE, taken, trainable=True)
    names = [str(place) for place in range(CLASSES)]
    target = targets.make_target(targets.parse_options({}), names).fitted(labels)
    head = build_head(CLASSES, backbone.feature_dim, HeadOptions())
    split = Split(np.zeros((len(labels), backbone.feature_dim), np.float32), labels, [str(path)])
    few = Split(split.features[:1], labels[:1], [str(path)], rows=np.arange(1))
    training = TrainOptions(batch_size=batch, patience=10**6)
    task = Task(target, backbone, head, split, few, parse_options({"method": "fine_tune"}), training)

    def run(epochs: int) -> list[float]:
        phase: Phase = backbone_phase(task, epochs, RATE)
        phase.judge = Pass({"target": task.inputs(few)}, phase.judge.objective)
        return [entry["seconds"] for entry in loop.run(task, [phase]).epochs]

    return run


def plain_epochs(path: pathlib.Path, labels: np.ndarray, size: int, batch: int) -> Callable[[int], list[float]]:
    """The same of `keras.Model.fit`."""
    network = keras.applications.MobileNetV2(
        include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3)
    )
    images = keras.Input((size, size, 3))
    model = keras.Model(images, keras.layers.Dense(CLASSES)(network(images, training=False)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])

    def parsed(record: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        content = tf.io.parse_single_example(record, {INPUT: tf.io.FixedLenFeature([], tf.string)})[INPUT]
        return preprocess(content[None], (size, size), VALUE_RANGE)[0], label

    records = tf.data.Dataset.zip(tf.data.TFRecordDataset(str(path)), tf.data.Dataset.from_tensor_slices(labels))
    data = records.shuffle(len(labels)).map(parsed, tf.data.AUTOTUNE).batch(batch)
    data = data.apply(tf.data.experimental.assert_cardinality(-(-len(labels) // batch))).prefetch(tf.data.AUTOTUNE)

    class Seconds(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.monotonic()

        def on_epoch_end(self, epoch, logs=None):
            told.append(time.monotonic() - self.started)

    told: list[float] = []

    def run(epochs: int) -> list[float]:
        told.clear()
        model.fit(data, epochs=epochs, verbose=0, callbacks=[Seconds()])
        return list(told)

    return run


def measure(images: int, size: int, batch: int, rounds: int) -> dict:
    """Images a second of both, and Graft's over the plain one's, round by round.

    A round is two epochs of each, of which the second counts: the first traces, or fills what was left to be filled.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "examples.tfrecord"
        labels = write_examples(path, images, size)
        ours, plain = (make(path, labels, size, batch) for make in (graft_epochs, plain_epochs))
        plain(1)
        seconds = [(ours(2)[1], plain(2)[1]) for _ in range(rounds)]
    return {
        "images": images,
        "size": size,
        "batch": batch,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1"),
        "graft_images_per_second": spread([images / own for own, _ in seconds]),
        "keras_images_per_second": spread([images / other for _, other in seconds]),
        "ratio": spread([other / own for own, other in seconds]),
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=96, help="height and width, pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    options = parser.parse_args(arguments)
    found = measure(options.images, options.size, options.batch, options.rounds)
    if options.json:
        print(json.dumps(found))
        return 0
    for name, value in found.items():
        shown = " / ".join(f"{figure:g}" for figure in value.values()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' '):<26}{shown}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
