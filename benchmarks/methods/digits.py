"""Tasks on scikit-learn's bundled digits: what the sources learn, which rows a seed labels.

The 1,797 digits are dealt once, for every seed alike: 900 to learn a backbone from, 500 to test on, the others to be
labelled by chance. No digit is in two of them.
"""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn.datasets

from benchmarks.methods.setting import Rows, Setting, pictures, workshop
from graft.pipeline.demo import data, source

NAMES = [f"digit {number}" for number in range(10)]
CANVAS, RAW = data.CANVAS_SIDE, data.DIGIT_SIDE
SOURCE_DIGITS, TEST_DIGITS = 900, 500
EVAL_PER_CLASS = 10
_PLACEMENTS, _STEPS = 15, 500

SMALL = {"epochs": 20, "patience": 20, "batch_size": 8, "learning_rate": 1e-3}
"""Training of few images: 200 of them make 500 steps, and no early stop but the best eval weights. Rate and batch are
those of the network from scratch that did best on the eval split of seed 1000, which no experiment uses."""


@functools.cache
def dealt() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """float [n, 8, 8] in [0, 1] and int [n], of `source`, `test` and `pool`."""
    bunch = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    parts = np.split(order, [SOURCE_DIGITS, SOURCE_DIGITS + TEST_DIGITS])
    images = bunch.images / 16.0
    return {
        name: (images[rows], bunch.target[rows]) for name, rows in zip(("source", "test", "pool"), parts, strict=True)
    }


@functools.cache
def backbone(side: int, seed: int, shuffled: bool = False, steps: int = _STEPS) -> pathlib.Path:
    """A network that has learned the source digits, published.

    Args:
        side: 12 places every digit 15 times on noisy canvases, 8 takes it as it is.
        seed: of its weights, order, places and noise.
        shuffled: learn from labels that belong to other digits.
        steps: of its optimizer.
    """
    rng = np.random.default_rng([1, seed])
    digits, labels = dealt()["source"]
    rows = np.tile(np.arange(len(digits)), _PLACEMENTS if side != RAW else 1)
    images = data.Images(data.place(digits[rows], side, rng), labels[rows])
    if shuffled:
        images = images._replace(labels=rng.permutation(images.labels))
    return publish(images, seed, f"digits-{side}-{shuffled}", steps)


def publish(images: data.Images, seed: int, name: str, steps: int = _STEPS) -> pathlib.Path:
    """A network that has learned these digits, published as `name` of the seed."""
    network, _ = source.train_source(images, images, steps, seed, classes=10)
    folder = workshop() / f"{name}-{seed}-{steps}"
    source.publish(network, folder)
    return folder


def canvases(
    seed: int, labels: int = 20, shuffled: bool = False, quarters: int = 0, **sections: Mapping[str, Any]
) -> Setting:
    """E1b: the ten digits at random places in noise on 12x12 canvases; the backbone learned others of the same kind.

    Args:
        seed: of backbone, choice of labelled images and training.
        labels: training images a class; eval gets 10 a class.
        shuffled: a backbone that learned from shuffled labels.
        quarters: turns of 90 degrees that the backbone's digits did not make.
        sections: keys of `head`, `train`.
    """
    rng = np.random.default_rng([2, seed])
    digits, truth = dealt()["pool"]
    digits = np.rot90(digits, quarters, axes=(1, 2))
    train, held_out = draw(truth, (labels, EVAL_PER_CLASS), rng)
    # The test canvases are the same under every seed.
    test = data.place(np.rot90(dealt()["test"][0], quarters, axes=(1, 2)), CANVAS, np.random.default_rng(3))
    rows = {
        "train": pictures(data.place(digits[train], CANVAS, rng), truth[train]),
        "eval": pictures(data.place(digits[held_out], CANVAS, rng), truth[held_out]),
        "test": pictures(test, dealt()["test"][1]),
    }
    return setting(backbone(CANVAS, seed, shuffled), rows, seed, CANVAS, **sections)


def draw(labels: np.ndarray, counts: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Disjoint places, with so many of each class in each part.

    Raises:
        ValueError: a class has too few.
    """
    parts: list[list[np.ndarray]] = [[] for _ in counts]
    for one in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == one))
        if len(rows) < sum(counts):
            raise ValueError(f"class {one} has {len(rows)} examples; {sum(counts)} are asked for")
        for part, found in zip(parts, np.split(rows[: sum(counts)], np.cumsum(counts)[:-1]), strict=True):
            part.append(found)
    return [np.concatenate(part) for part in parts]


def setting(
    folder: pathlib.Path, rows: Mapping[str, Rows], seed: int, side: int, **sections: Mapping[str, Any]
) -> Setting:
    """A task of the ten digits at this image size."""
    sections = {**sections, "train": {**SMALL, **sections.get("train", {})}}
    return Setting(folder, rows, NAMES, seed, {"image_size": [side, side], "value_range": [0, 1]}, **sections)
