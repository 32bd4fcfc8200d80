"""A few labels of MNIST beside many of scikit-learn's digits, which another hand and scanner made."""

import numpy as np

from benchmarks.methods import digits, shifts
from benchmarks.methods.form import Experiment, Result
from benchmarks.methods.setting import Rows

JOINT = {"method": "joint"}


def _run(labels: int):
    def run(seed: int) -> dict[str, Result]:
        rng = np.random.default_rng([6, seed])
        images, truth = shifts.mnist()
        test, (pool, pool_truth) = slice(0, shifts.TEST), (images[shifts.TEST :], truth[shifts.TEST :])
        train, held_out = digits.draw(pool_truth, (labels, digits.EVAL_PER_CLASS), rng)
        target = {
            "train": digits.pictures(pool[train], pool_truth[train]),
            "eval": digits.pictures(pool[held_out], pool_truth[held_out]),
            "test": digits.pictures(images[test], truth[test]),
        }
        theirs, their_truth = digits.dealt()["pool"]
        source = digits.pictures(theirs, their_truth)
        shuffled = Rows(source.contents, rng.permutation(source.labels))
        backbone = digits.backbone(digits.RAW, seed)

        def beside(rows: dict[str, Rows]) -> digits.Setting:
            return digits.setting(backbone, {**target, **rows}, seed, digits.RAW)

        alone = beside({})
        return {
            "method": beside({"source": source}).transferred(JOINT),
            "target alone": alone.transferred({"method": "frozen"}),
            "pixels": alone.raw(),
            "control": beside({"source": shuffled}).transferred(JOINT),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"scikit-learn's digits beside MNIST, {labels} labels a class",
        "joint",
        "397 labelled digits of scikit-learn as the source, a few of MNIST as the target, a backbone that learned "
        "others of scikit-learn's; every setting is a default.",
        _run(labels),
        "a source with shuffled labels",
    )
    for labels in (1, 5)
]
