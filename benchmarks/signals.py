"""What watching costs: a pass of images through MobileNetV2 with and without their signals on the way.

    GRAFT_DATA=... python -m benchmarks.signals [--images 96] [--repeats 5] [--json]

Both are warmed up, then they alternate, so that a busy machine slows both. Processor seconds count, of all threads.
Then the signals of one photo of 12 megapixels beside what its way to the network costs (decoding, resizing). Needs the
development data (trashnet and the hub-style MobileNetV2).
"""

import argparse
import io
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable

from benchmarks import spread

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image

from graft.models.backbone import load_backbone
from graft.models.features import feature_runner
from graft.models.inputs import image
from graft.models.inputs.preparing import preparer

_BATCH = 8


def processor_seconds(run: Callable[[], object]) -> float:
    """Of all threads of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def through_the_network(data: pathlib.Path, images: int, repeats: int) -> dict:
    """Processor milliseconds an image, plain and watched, and by how much watching makes it more."""
    files = sorted((data / "trashnet").glob("*/*.jpg"))
    encoded = [file.read_bytes() for file in files[:: max(len(files) // images, 1)][:images]]
    takes = image.Input(image.Options(value_range=(0, 1)))
    handle = str(data / "backbones" / "hub_style_mobilenet_v2_feature_vector" / "1")
    runner, watch = feature_runner(load_backbone(handle, takes)), takes.watcher()

    def run(watched: bool) -> None:
        def batches():
            for start in range(0, len(encoded), _BATCH):
                part = encoded[start : start + _BATCH]
                if watched:
                    for content in part:
                        watch(content)
                yield {"contents": np.array(part, dtype=object)}

        for _ in runner.map(batches()):
            pass

    run(True)
    plain, more = [], []
    for _ in range(repeats):
        plain.append(processor_seconds(lambda: run(False)) * 1e3 / len(encoded))
        more.append(processor_seconds(lambda: run(True)) * 1e3 / len(encoded))
    alone = [processor_seconds(lambda: [watch(one) for one in encoded]) * 1e3 / len(encoded) for _ in range(repeats)]
    return {
        "images": len(encoded),
        "plain_ms": spread(plain),
        "watched_ms": spread(more),
        "ratio": spread([two / one for one, two in zip(plain, more, strict=True)]),
        "signals_ms": spread(alone),
        "share": spread([two / one for one, two in zip(plain, alone, strict=True)]),
    }


def large_photos(repeats: int) -> dict:
    """Processor milliseconds of a drawn photo of 4000 x 3000 pixels by its type."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8))
    photo = coarse.resize((4000, 3000), Image.Resampling.BICUBIC)
    takes = image.Input(image.Options(value_range=(0, 1)))
    watch, prepare = takes.watcher(), preparer(takes)
    found = {}
    for kind in ("JPEG", "PNG"):
        written = io.BytesIO()
        photo.save(written, kind)
        content = written.getvalue()
        ways = {"signals": lambda: watch(content), "prepared": lambda: prepare(tf.constant([content])).numpy()}  # noqa: B023 - called here
        for run in ways.values():
            run()
        found[kind] = {
            name: spread([processor_seconds(run) * 1e3 for _ in range(repeats)]) for name, run in ways.items()
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("GRAFT_DATA"), help="the data folder; default $GRAFT_DATA")
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args()
    if not options.data or not (pathlib.Path(options.data) / "trashnet").is_dir():
        sys.exit("benchmarks.signals needs the data folder: set GRAFT_DATA or give --data")
    passes = through_the_network(pathlib.Path(options.data), options.images, options.repeats)
    photos = large_photos(options.repeats)
    if options.json:
        print(json.dumps({"repeats": options.repeats, "network": passes, "photos": photos}))
        return

    def told(found: dict, digits: int = 1) -> str:
        return " / ".join(f"{found[name]:.{digits}f}" for name in ("min", "median", "max"))

    print(f"{passes['images']} images, {options.repeats} repeats; processor ms an image; min / median / max")
    print(f"{'network':24} {told(passes['plain_ms'])}")
    print(f"{'network, watched':24} {told(passes['watched_ms'])}   {told(passes['ratio'], 3)} times")
    print(f"{'signals alone':24} {told(passes['signals_ms'], 2)}   {told(passes['share'], 3)} of the network")
    for kind, found in photos.items():
        print(f"{f'12 MP {kind}, signals':24} {told(found['signals'])}")
        print(f"{f'12 MP {kind}, prepared':24} {told(found['prepared'])}")


if __name__ == "__main__":
    main()
