"""The frozen backbone beside what no transfer gives: where it helps, and where it must hurt."""

import numpy as np

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FROZEN = {"method": "frozen"}


def _canvases(labels: int):
    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, labels)
        return {
            "method": task.transferred(FROZEN),
            "scratch": task.scratch(),
            "pixels": task.raw(),
            "control": digits.canvases(seed, labels, shuffled=True).transferred(FROZEN),
        }

    return run


def _centred(seed: int) -> dict[str, Result]:
    rng = np.random.default_rng([5, seed])
    images, truth = digits.dealt()["pool"]
    rows = {
        name: digits.pictures(images[part], truth[part])
        for name, part in zip(("train", "eval"), digits.draw(truth, (5, 5), rng), strict=True)
    }
    rows["test"] = digits.pictures(*digits.dealt()["test"])
    known = [digits.backbone(digits.CANVAS, seed, shuffled) for shuffled in (False, True)]
    tasks = [digits.setting(one, rows, seed, digits.CANVAS) for one in known]
    return {
        "method": tasks[0].transferred(FROZEN),
        "pixels": tasks[0].raw(),
        "control": tasks[1].transferred(FROZEN),
    }


EXPERIMENTS = [
    Experiment(
        f"E1b, {labels} labels a class",
        "frozen",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind.",
        _canvases(labels),
        "a source with shuffled labels",
    )
    for labels in (5, 20)
] + [
    Experiment(
        "centred digits, 5 labels a class",
        "frozen",
        "The backbone of E1b on centred digits without noise, stretched to its 12x12: pixels say nearly all.",
        _centred,
        "a source with shuffled labels",
    )
]
