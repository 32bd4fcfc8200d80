"""The pictures of `graft demo drift`: MNIST's digits 5-9, to train on and for each day; and what befalls them."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from graft.monitoring.demo.course import POOL, Course
from graft.pipeline.demo import data
from graft.pipeline.demo.data import Images

TURNS, DARKER = 1, 0.5
"""Quarter turns anticlockwise, and the factor of brightness: a camera was mounted on its side, in the shade."""
CHANGE = "turned by 90 degrees and darkened to half"
_SPLITS = {"train": 60, "eval": 20, "test": 40}
"""Digits of each class that version 1 is made from."""


class Dealt(NamedTuple):
    """What version 1 is made from, by split; and each day's pictures, usual or changed. No digit is in two places."""

    base: dict[str, Images]
    days: list[Images]


def deal(course: Course) -> Dealt:
    """Deals the digits; the course's seed decides."""
    rng = np.random.default_rng([course.seed, 17])
    pixels, labels = data.all_mnist()
    base: dict[str, list[np.ndarray]] = {split: [] for split in _SPLITS}
    others: list[np.ndarray] = []
    for digit in data.TARGET_CLASSES:
        order = rng.permutation(np.flatnonzero(labels == digit))
        *parts, rest = np.split(order, np.cumsum(list(_SPLITS.values())))
        for places, part in zip(base.values(), parts, strict=True):
            places.append(part)
        others.append(rest)
    pool = rng.permutation(np.concatenate(others))
    assert len(pool) == POOL
    days = []
    for day in range(1, course.days + 1):
        rows = pool[(day - 1) * course.rows : day * course.rows]
        shown = pixels[rows]
        days.append(Images(changed(shown) if course.is_changed(day) else shown, labels[rows]))
    joined = {split: np.concatenate(places) for split, places in base.items()}
    return Dealt({split: Images(pixels[rows], labels[rows]) for split, rows in joined.items()}, days)


def changed(pixels: np.ndarray) -> np.ndarray:
    """The shift; float32 [n, h, w] in [0, 1], as it came."""
    return (np.rot90(pixels, TURNS, axes=(1, 2)) * np.float32(DARKER)).astype(np.float32)


def png(pixels: np.ndarray) -> bytes:
    """A grey 8-bit PNG file of pixels [h, w] in [0, 1]."""
    file = io.BytesIO()
    Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()
