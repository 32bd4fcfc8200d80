"""The features stage beside the plain pass through the restored backbone.

    GRAFT_DATA=... python -m benchmarks.features [--images 96] [--repeats 5] [--batch-sizes 4,8,16] [--json]

Plain is what a user would write: `tf.data` over the files, the same pixel rule, and the restored SavedModel called on
batches of 32 inside a `tf.function`. Both are warmed up (traced, frozen) before the clock starts; then they alternate,
so that a busy machine slows both. Needs the development data (trashnet and the hub-style MobileNetV2).
"""

import argparse
import json
import os
import pathlib
import sys
import time

from benchmarks import spread

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from graft.models.backbone import Backbone, load_backbone
from graft.models.features import feature_runner
from graft.models.inputs import image
from graft.models.inputs.image.decoding import preprocess

IMAGE_SIZE, VALUE_RANGE = (224, 224), (0.0, 1.0)
PLAIN_BATCH = 32


def plain_pass(handle: str):
    """The pass a user would write, as a function from encoded images to features."""
    restored = tf.saved_model.load(handle)
    call = tf.function(lambda images: restored(images, training=False))

    def run(encoded: list[bytes]) -> np.ndarray:
        pixels = tf.data.Dataset.from_tensor_slices(encoded).batch(PLAIN_BATCH)
        pixels = pixels.map(lambda batch: preprocess(batch, IMAGE_SIZE, VALUE_RANGE), tf.data.AUTOTUNE)
        return np.concatenate([call(batch) for batch in pixels.prefetch(tf.data.AUTOTUNE)])

    return run


def frozen_pass(backbone: Backbone, batch_size: int):
    """The features stage with its graph already frozen."""
    runner = feature_runner(backbone)

    def run(encoded: list[bytes]) -> np.ndarray:
        starts = range(0, len(encoded), batch_size)
        batches = ({"contents": np.array(encoded[start : start + batch_size], dtype=object)} for start in starts)
        return np.concatenate([result["output"] for result in runner.map(batches)])

    return run


def measure(data: pathlib.Path, images: int, repeats: int, batch_sizes: list[int]) -> dict:
    """Images a second and ratios to the plain pass, for each batch size.

    Raises:
        AssertionError: if features differ from the plain ones by more than 1e-4.
    """
    files = sorted((data / "trashnet").glob("*/*.jpg"))
    encoded = [file.read_bytes() for file in files[:: max(len(files) // images, 1)][:images]]
    handle = str(data / "backbones" / "hub_style_mobilenet_v2_feature_vector" / "1")
    plain = plain_pass(handle)
    expected = plain(encoded)
    backbone = load_backbone(handle, image.Input(image.Options(image_size=IMAGE_SIZE, value_range=VALUE_RANGE)))
    started = time.perf_counter()
    passes = {size: frozen_pass(backbone, size) for size in batch_sizes}
    freezing = (time.perf_counter() - started) / len(batch_sizes)
    largest = max(float(np.abs(run(encoded) - expected).max()) for run in passes.values())
    assert largest <= 1e-4, f"features differ from the plain pass by {largest}"

    def rate(run) -> float:
        start = time.perf_counter()
        run(encoded)
        return len(encoded) / (time.perf_counter() - start)

    plain_rates: list[float] = []
    rates: dict[int, list[float]] = {size: [] for size in batch_sizes}
    ratios: dict[int, list[float]] = {size: [] for size in batch_sizes}
    for _ in range(repeats):
        for size in batch_sizes:
            plain_rates.append(rate(plain))
            rates[size].append(rate(passes[size]))
            ratios[size].append(rates[size][-1] / plain_rates[-1])
    return {
        "images": len(encoded),
        "repeats": repeats,
        "cores": len(os.sched_getaffinity(0)),
        "plain_images_per_second": spread(plain_rates),
        "freezing_seconds": freezing,
        "largest_difference": largest,
        "batch_sizes": {
            str(size): {"images_per_second": spread(rates[size]), "ratio": spread(ratios[size])} for size in batch_sizes
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("GRAFT_DATA"), help="the data folder; default $GRAFT_DATA")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-sizes", default="4", help="comma-separated; all are compared with plain")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    if not options.data or not (pathlib.Path(options.data) / "trashnet").is_dir():
        sys.exit("benchmarks.features needs the data folder: set GRAFT_DATA or give --data")
    sizes = [int(size) for size in options.batch_sizes.split(",")]
    result = measure(pathlib.Path(options.data), options.images, options.repeats, sizes)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['images']} images, {result['repeats']} repeats, {result['cores']} cores; min / median / max")
    rows = [("plain", result["plain_images_per_second"], None)]
    rows += [
        (f"frozen, batch {size}", one["images_per_second"], one["ratio"]) for size, one in result["batch_sizes"].items()
    ]
    for name, rates, ratio in rows:
        line = f"{name:18} {rates['min']:6.1f} {rates['median']:6.1f} {rates['max']:6.1f} images/s"
        print(line + (f"   {ratio['min']:.2f} {ratio['median']:.2f} {ratio['max']:.2f} times plain" if ratio else ""))
    print(
        f"freezing takes {result['freezing_seconds']:.1f} s once; largest difference {result['largest_difference']:.1e}"
    )


if __name__ == "__main__":
    main()
