"""Weighted source examples under covariate shift: E3."""

import dataclasses
from unittest import mock

import numpy as np
from scipy.stats import norm

from benchmarks.methods import vectors
from benchmarks.methods.form import Experiment, Result
from graft.models.transfer import instance_weighting

_SOURCE, _TARGET, _ELSEWHERE = (1.0, 0.5), (2.0, 0.25), (0.5, 0.25)
_COUNT, _TEST = 300, 500
_NUMBERS = {"kind": "numbers", "columns": ["y"]}


def _drawn(rng: np.random.Generator, where: tuple[float, float], count: int) -> vectors.Rows:
    x = rng.normal(*where, (count, 1))
    return x, (np.sinc(x) + rng.normal(0, 0.1, (count, 1))).astype(np.float32)


def _shift(estimator: str):
    def run(seed: int) -> dict[str, Result]:
        rng = np.random.default_rng([30, seed])
        rows = {"source": _drawn(rng, _SOURCE, _COUNT), "source_eval": _drawn(rng, _SOURCE, _COUNT)}
        rows["train"], test = _drawn(rng, _TARGET, _COUNT), _drawn(np.random.default_rng(31), _TARGET, _TEST)[0]
        rows["test"] = (test, np.sinc(test).astype(np.float32))
        unweighed = {**rows, "train": rows["source"], "eval": rows["source_eval"]}
        weighing = {"method": "instance_weighting", "labels": "source", "estimator": estimator}

        def contestant(transfer, among=rows) -> Result:
            answers, result = vectors.train(transfer, among, _NUMBERS, ["y"])
            return dataclasses.replace(result, scores=-((answers[:, 0] - rows["test"][1][:, 0]) ** 2))

        elsewhere = rows | {"train": _drawn(rng, _ELSEWHERE, _COUNT)}
        x = rows["source"][0]
        true = (norm.pdf(x, *_TARGET) / norm.pdf(x, *_SOURCE))[:, 0]
        with mock.patch.object(instance_weighting, "ratios", lambda *_: true / true.mean()):
            best = contestant(weighing)
        return {
            "method": contestant(weighing),
            "unweighed source": contestant({"method": "frozen"}, unweighed),
            "true ratio": best,
            "control": contestant(weighing, elsewhere),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E3, {estimator}",
        "instance_weighting",
        "A line through y = sinc(x) with noise: labelled x from N(1, 0.5), unlabelled x of the target from N(2, 0.25). "
        "Every setting is a default; the strength is chosen on the source.",
        _shift(estimator),
        "weights for another target, N(0.5, 0.25)",
        score="mean squared error",
        scale=-1.0,
        largest=None,
        shown=("true ratio",),
    )
    for estimator in ("kmm", "kliep", "classifier")
]
