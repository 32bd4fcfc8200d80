"""Boosting with a source of which half the labels are wrong: E3b."""

import dataclasses

import numpy as np

from benchmarks.methods import digits, vectors
from benchmarks.methods.form import Experiment, Result

_SOURCE, _TRAIN, _EVAL = 700, 50, 100


def _corrupted(seed: int) -> dict[str, Result]:
    rng = np.random.default_rng([32, seed])
    dealt = {name: (images.reshape(len(images), -1), labels) for name, (images, labels) in digits.dealt().items()}
    pool, source = rng.permutation(len(dealt["pool"][1])), rng.permutation(len(dealt["source"][1]))[:_SOURCE]
    parts = {"train": pool[:_TRAIN], "eval": pool[_TRAIN : _TRAIN + _EVAL]}
    rows = {name: (dealt["pool"][0][at], dealt["pool"][1][at]) for name, at in parts.items()}
    rows["test"] = dealt["test"]

    def contestant(transfer, share: float) -> Result:
        features, labels = dealt["source"][0][source], dealt["source"][1][source]
        drawn = np.random.default_rng([33, seed]).random((2, _SOURCE))
        told = np.where(drawn[0] < share, (10 * drawn[1]).astype(int), labels)
        told_rows = rows | {"source": (features, told)}
        answers, result = vectors.train(transfer, told_rows, {"kind": "label"}, digits.NAMES)
        return dataclasses.replace(result, scores=(answers.argmax(axis=1) == rows["test"][1]).astype(float))

    boosted = {"method": "tradaboost"}
    return {
        "method": contestant(boosted, 0.5),
        "target alone": contestant({"method": "frozen"}, 0.5),
        "joint": contestant({"method": "joint"}, 0.5),
        "both as one": contestant({"method": "joint", "weight": _SOURCE / _TRAIN}, 0.5),
        "control": contestant(boosted, 1.0),
    }


EXPERIMENTS = [
    Experiment(
        "E3b, half of the source's labels drawn anew",
        "tradaboost",
        "700 digits of the source, 50 of the target, all as pixels; every setting is a default, strengths are chosen "
        "on 100 eval digits.",
        _corrupted,
        "all of the source's labels drawn anew",
    )
]
