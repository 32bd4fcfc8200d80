"""Seconds of `graft run` beside a stock TFX chain on one toy set: the first run and the fully cached second run.

    python -m benchmarks.tfx_chain [--repeats 1] [--json]

The set is 300 PNG files of 32 x 32 in three classes as TFRecord of tf.Example. Each run is a fresh process, imports
included; the two take turns, so that what else the machine does falls on both, and each repeat starts in fresh folders
and gives one ratio (Graft / stock: below 1 is faster). Graft's run has more stages: it checks every image, gates data
and quality, and sends requests to a real server before the push.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks import spread

TOP = pathlib.Path(__file__).parents[1]
IMAGES, SIZE, CLASSES = 300, 32, ("blue", "green", "red")
FEATURES = 32

CONFIG = """\
name: toy
data: {source: tfrecord, path: DATA}
input: {image_size: [32, 32], value_range: [0, 1]}
backbone: {handle: BACKBONE}
transfer: {method: frozen}
train: {learning_rate: 0.01}
gates: {accuracy: 0.1}
store: ROOT/store
root: ROOT/runs
"""


def make_examples(folder: pathlib.Path) -> None:
    """Writes the set: noise in which one channel is brighter, and the name of that channel."""
    import numpy as np
    import tensorflow as tf

    def feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    generator = np.random.default_rng(0)
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "toy.tfrecord.gz"), "GZIP") as writer:
        for number in range(IMAGES):
            label = number % len(CLASSES)
            pixels = generator.integers(0, 160, (SIZE, SIZE, 3), dtype=np.uint8)
            pixels[:, :, 2 - label] += 80
            encoded = tf.io.encode_png(pixels).numpy()
            features = {"image": feature(encoded), "label": feature(CLASSES[label].encode())}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def make_backbone(folder: pathlib.Path) -> None:
    """Publishes a small network with random weights."""
    import keras
    import tensorflow as tf

    from graft.models.publish import publish_backbone

    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(FEATURES, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    publish_backbone(network, folder, tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32))


def seconds_of(command: list[str], log: pathlib.Path) -> float:
    """Seconds of a fresh process.

    Raises:
        RuntimeError: it fails; the message ends with the last of what it wrote.
    """
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.monotonic()
    with log.open("w") as output:
        ended = subprocess.run(command, cwd=TOP, env=environment, stdout=output, stderr=subprocess.STDOUT)
    seconds = time.monotonic() - start
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {ended.returncode}: {log.read_text()[-2000:]}")
    return seconds


def measure(repeats: int) -> dict:
    """Seconds of both and their ratio for the first and the cached run, as min, median, max over the repeats."""
    times: dict[str, dict[str, list[float]]] = {run: {"graft": [], "stock": []} for run in ("first", "cached")}
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        make_examples(root / "examples")
        make_backbone(root / "backbone")
        for repeat in range(repeats):
            folders = {which: root / f"{which}-{repeat}" for which in ("graft", "stock")}
            for folder in folders.values():
                folder.mkdir()
            config = folders["graft"] / "toy.yaml"
            values = {"DATA": root / "examples", "BACKBONE": root / "backbone", "ROOT": folders["graft"]}
            text = CONFIG
            for key, value in values.items():
                text = text.replace(key, str(value))
            config.write_text(text, encoding="utf-8")
            python = [sys.executable, "-m"]
            commands = {
                "stock": [*python, "benchmarks.stock_chain.chain", str(root / "examples"), str(folders["stock"])],
                "graft": [*python, "graft.pipeline.cli", "run", str(config), "--json"],
            }
            for run, measured in times.items():
                for which, command in commands.items():
                    measured[which].append(seconds_of(command, folders[which] / f"{run}.log"))
            check_cached(folders["graft"] / "cached.log")
    return {
        "images": IMAGES,
        "cores": len(os.sched_getaffinity(0)),
        "repeats": repeats,
        **{run: summary(measured) for run, measured in times.items()},
    }


def summary(measured: dict[str, list[float]]) -> dict:
    """Seconds of each and the ratio Graft / stock of each repeat, as min, median, max."""
    ratios = [one / other for one, other in zip(measured["graft"], measured["stock"], strict=True)]
    return {
        "graft_seconds": spread(measured["graft"]),
        "stock_seconds": spread(measured["stock"]),
        "ratio": spread(ratios),
    }


def check_cached(log: pathlib.Path) -> None:
    """Looks into what the second run printed.

    Raises:
        RuntimeError: a stage was not taken from the cache.
    """
    result = json.loads(next(line for line in log.read_text().splitlines() if line.startswith("{")))
    ran = [stage["name"] for stage in result["stages"] if not stage["cached"]]
    if ran:
        raise RuntimeError(f"stages of the second run that were not cached: {', '.join(ran)}")


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        print("--repeats must be at least 1", file=sys.stderr)
        return 1
    result = measure(options.repeats)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{result['images']} images, {result['repeats']} repeats, {result['cores']} cores")
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}")
    for run in ("first", "cached"):
        for key in ("graft_seconds", "stock_seconds", "ratio"):
            figures = "".join(f"{result[run][key][name]:9.2f}" for name in ("min", "median", "max"))
            print(f"{run + ' ' + key:24}" + figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
