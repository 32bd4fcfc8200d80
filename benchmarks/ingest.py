"""Images a second of ingestion against a plain Python loop, and the memory of ingestion at two sizes.

    python -m benchmarks.ingest [--images 20000] [--rounds 3] [--json]

The plain loop is what a user would write: it verifies each file with Pillow and writes image and label as TFRecord.
Ingestion also decodes each image as the served model will, hashes it, splits by content, finds copies and conflicts.
Both read the same small PNG files and take turns, so that what else the machine does falls on both; each round gives
one ratio. Imports and compiled graphs are warm, and as in a process of the command line no garbage is sought in what
was imported. Memory is the peak of a fresh process, at a tenth of the images and at all of them.
"""

import argparse
import concurrent.futures
import io
import json
import multiprocessing
import os
import pathlib
import resource
import sys
import tempfile
import time

from benchmarks import spread
from graft.models import deferred

CLASSES = 10
WARM_UP = 200


def make_images(folder: pathlib.Path, count: int) -> int:
    """Writes `count` PNG files of 32 x 32 random pixels into class folders; returns their bytes."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    size = 0
    for label in range(CLASSES):
        (folder / f"class_{label}").mkdir(parents=True)
    for number in range(count):
        path = folder / f"class_{number % CLASSES}" / f"{number:06d}.png"
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
        size += path.stat().st_size
    return size


def plain_loop(folder: pathlib.Path, output: pathlib.Path) -> None:
    """Verifies each file with Pillow and writes it as TFRecord."""
    import tensorflow as tf
    from PIL import Image

    def feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    with tf.io.TFRecordWriter(str(output)) as writer:
        for path in sorted(folder.glob("*/*.png")):
            encoded = path.read_bytes()
            with Image.open(io.BytesIO(encoded)) as image:
                image.verify()
            features = {"image": feature(encoded), "label": feature(path.parent.name.encode())}
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def ingest(folder: pathlib.Path, output: pathlib.Path) -> None:
    """Runs ingestion as a local pipeline does."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from graft.components.beam import LOCAL_BEAM_ARGS
    from graft.components.ingest import ingestion
    from graft.components.ingest.request import make_request
    from graft.components.ingest.sources import parse_options

    ingestion.ingest(
        make_request(parse_options({"source": "image_folder", "path": str(folder)})),
        str(output / "examples"),
        str(output / "rejected"),
        lambda: beam.Pipeline(options=PipelineOptions(list(LOCAL_BEAM_ARGS))),
    )


def peak_memory(folder: pathlib.Path) -> int:
    """Largest resident memory of a fresh process that ingests `folder`, bytes."""
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(_ingest_and_tell_memory, folder).result()


def _ingest_and_tell_memory(folder: pathlib.Path) -> int:
    with tempfile.TemporaryDirectory() as output:
        ingest(folder, pathlib.Path(output))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _seconds(work, *arguments) -> float:
    start = time.monotonic()
    work(*arguments)
    return time.monotonic() - start


def measure(images: int, rounds: int) -> dict:
    """Images/s of both and their ratio, each as min, median, max over the rounds; peak memory in MiB."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        few, all_of_them = root / "few", root / "all"
        make_images(few, max(WARM_UP, images // 10))
        size = make_images(all_of_them, images)
        plain_loop(few, root / "warm.tfrecord")
        ingest(few, root / "warm")
        rates: dict[str, list[float]] = {"ingest": [], "plain": []}
        for number in range(rounds):
            rates["ingest"].append(images / _seconds(ingest, all_of_them, root / f"run-{number}"))
            rates["plain"].append(images / _seconds(plain_loop, all_of_them, root / "plain.tfrecord"))
        memory = {"tenth": peak_memory(few) / 2**20, "all": peak_memory(all_of_them) / 2**20}
    return {
        "images": images,
        "mebibytes": round(size / 2**20, 1),
        "cores": len(os.sched_getaffinity(0)),
        "rounds": rounds,
        "ingest_images_per_s": spread(rates["ingest"]),
        "plain_images_per_s": spread(rates["plain"]),
        "ratio": spread([one / other for one, other in zip(rates["ingest"], rates["plain"], strict=True)]),
        "peak_mebibytes": {key: round(value, 1) for key, value in memory.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    if options.images < WARM_UP or options.rounds < 1:
        print(f"--images must be at least {WARM_UP}, --rounds at least 1", file=sys.stderr)
        return 1
    deferred.own_process()
    result = measure(options.images, options.rounds)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{result['images']} PNG files of 32 x 32, {result['mebibytes']} MiB in all, {result['cores']} cores")
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}")
    for key in ("ingest_images_per_s", "plain_images_per_s", "ratio"):
        print(f"{key:24}" + "".join(f"{result[key][name]:9.2f}" for name in ("min", "median", "max")))
    memory = result["peak_mebibytes"]
    print(f"peak memory: {memory['tenth']:.0f} MiB at a tenth of the images, {memory['all']:.0f} MiB at all of them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
