"""scikit-learn's digits as PNG files: classes 0-4 to learn a backbone from, classes 5-9 as the target.

On a canvas each digit lies at a random place in noise, so that what a network learns about shapes and places on 0-4 is
worth something on 5-9. Centred in their 8x8 pixels the digits are so easy that the source's features only throw
information away: negative transfer.
"""

import csv
import pathlib
from typing import NamedTuple

import numpy as np
import sklearn.datasets
from PIL import Image

DIGIT_SIDE, CANVAS_SIDE = 8, 12
NOISE = 0.15
"""Standard deviation of the canvas's Gaussian noise; ink is 0 to 1."""
SOURCE_CLASSES, TARGET_CLASSES = range(5), range(5, 10)
EVAL_PER_CLASS = 20
CSV_NAME = "images.csv"

_HELD_OUT = 0.2


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
    chosen: dict[str, list[np.ndarray]] = {"train": [], "eval": [], "test": []}
    for digit in TARGET_CLASSES:
        order = rng.permutation(np.flatnonzero(labels == digit))
        parts = np.split(order, [labels_per_class, labels_per_class + EVAL_PER_CLASS])
        for rows, part in zip(chosen.values(), parts, strict=True):
            rows.append(part)
    rows_of = {split: np.concatenate(rows) for split, rows in chosen.items()}
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
