"""Real photographs with few labels behind a network that learned ImageNet: trashnet and Fashion-MNIST.

Both need the development data (GRAFT_DATA). A network of this size is not trained from scratch here: hours of two cores
on some dozen photographs would say what is known.
"""

import functools
import gzip
import os
import pathlib
from collections.abc import Callable

import numpy as np

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result
from benchmarks.methods.setting import Rows, Setting, pictures

FROZEN = {"method": "frozen"}
SIDE = 224
INPUT = {"image_size": [SIDE, SIDE], "value_range": [0, 1]}
DRAWN = pathlib.Path("applications:MobileNetV2?weights=none")
"""The same architecture, Keras' own, with weights that have learned nothing; it takes pixels from -1 to 1."""
TRASH_TEST, CLOTHES_TEST = 150, 300
_EVAL = 5


def _data() -> pathlib.Path:
    return pathlib.Path(os.environ["GRAFT_DATA"])


def _backbone() -> pathlib.Path:
    return _data() / "backbones" / "hub_style_mobilenet_v2_feature_vector" / "1"


@functools.cache
def trash() -> tuple[Rows, list[str]]:
    """The 360 photographs, and the names of their six classes."""
    folders = sorted(path for path in (_data() / "trashnet").iterdir() if path.is_dir())
    files = [(path, label) for label, folder in enumerate(folders) for path in sorted(folder.iterdir())]
    return Rows([path.read_bytes() for path, _ in files], np.array([label for _, label in files])), [
        folder.name for folder in folders
    ]


@functools.cache
def clothes() -> tuple[Rows, list[str]]:
    """The first 2,000 of Fashion-MNIST's test images, and the names of their ten classes."""
    held = []
    for name, start in (("images-idx3", 16), ("labels-idx1", 8)):
        content = gzip.decompress((_data() / "fashion_mnist" / f"t10k-{name}-ubyte.gz").read_bytes())
        held.append(np.frombuffer(content, np.uint8, offset=start))
    images = held[0].reshape(-1, 28, 28)[:2000] / 255.0
    return pictures(images, held[1][:2000].astype(np.int64)), [f"class {number}" for number in range(10)]


def _few(load: Callable[[], tuple[Rows, list[str]]], labels: int, tested: int) -> Callable[[int], dict[str, Result]]:
    def run(seed: int) -> dict[str, Result]:
        rows, names = load()
        # The test rows are the same under every seed.
        order = np.random.default_rng(0).permutation(len(rows))
        test, pool = np.split(order, [tested])
        train, held_out = digits.draw(rows.labels[pool], (labels, _EVAL), np.random.default_rng([7, seed]))
        parts = {
            "train": rows.taken(pool[train]),
            "eval": rows.taken(pool[held_out]),
            "test": rows.taken(test),
        }
        task = Setting(_backbone(), parts, names, seed, INPUT)
        return {
            "method": task.transferred(FROZEN),
            "pixels": task.raw(),
            "control": Setting(DRAWN, parts, names, seed, {**INPUT, "value_range": [-1, 1]}).transferred(FROZEN),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"{told}, {labels} labels a class",
        "frozen",
        f"{told}, behind MobileNetV2 of ImageNet; every setting is a default.",
        _few(load, labels, tested),
        "the same network with weights drawn anew",
        needs_data=True,
    )
    for told, load, tested in (("trashnet", trash, TRASH_TEST), ("Fashion-MNIST", clothes, CLOTHES_TEST))
    for labels in (1, 5, 20)
]
