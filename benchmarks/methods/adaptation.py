"""Adaptation to a target domain without labels: E2, scikit-learn's digits, turned or with their pixels mixed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.ndimage
import sklearn.datasets

from benchmarks.methods import vectors
from benchmarks.methods.form import Experiment, Result
from graft.models.errors import GraftError

_NAMES = [f"digit {number}" for number in range(10)]
_SOURCE, _EVAL, _TARGET = 800, 100, 600
_NETWORK = {"hidden": [128, 64], "dropout": 0.0}
_TRAINING = {"epochs": 60, "patience": 60, "batch_size": 64, "learning_rate": 1e-3}
_SHALLOW = ("coral", "standardise")

METHODS: dict[str, dict[str, Any]] = {
    "coral": {"method": "coral"},
    "standardise": {"method": "standardise"},
    "deep_coral": {"method": "deep_coral"},
    "mk_mmd": {"method": "mk_mmd"},
    "dann": {"method": "dann"},
}
"""With their defaults: nothing was chosen on these data."""


def turned(images: np.ndarray) -> np.ndarray:
    """Rotated by 30 degrees."""
    flat = scipy.ndimage.rotate(images.reshape(-1, 8, 8), 30, axes=(1, 2), reshape=False, order=1)
    return flat.reshape(len(images), 64)


def mixed(images: np.ndarray) -> np.ndarray:
    """Every pixel with a share of all others: x (I + 0.25 G), G drawn from a normal distribution."""
    return images @ (np.eye(64) + 0.25 * np.random.default_rng(11).normal(size=(64, 64)))


@functools.cache
def _dealt() -> tuple[np.ndarray, np.ndarray]:
    bunch = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    return bunch.data[order] / 16.0, bunch.target[order]


def _rows(seed: int, move: Callable[[np.ndarray], np.ndarray], shuffled: bool = False) -> dict[str, vectors.Rows]:
    """No digit is in two of them; those of the test are the same under every seed."""
    images, labels = _dealt()
    rng = np.random.default_rng([40, seed])
    order = rng.permutation(_SOURCE + _EVAL + _TARGET)
    source, held, target = np.split(order, [_SOURCE, _SOURCE + _EVAL])
    test = np.arange(len(order), len(labels))
    rows = {name: (images[places], labels[places]) for name, places in (("source", source), ("source_eval", held))}
    if shuffled:
        rows = {name: (features, rng.permutation(truth)) for name, (features, truth) in rows.items()}
    return rows | {name: (move(images[at]), labels[at]) for name, at in (("train", target), ("test", test))}


def _contestant(transfer: Mapping[str, Any], rows: Mapping[str, vectors.Rows], seed: int, linear: bool) -> Result:
    head = None if linear else _NETWORK
    answers, result = vectors.train(transfer, rows, {"kind": "label"}, _NAMES, head, {**_TRAINING, "seed": seed})
    return dataclasses.replace(result, scores=(answers.argmax(axis=1) == rows["test"][1]).astype(float))


def _stopped(transfer: Mapping[str, Any], rows: Mapping[str, vectors.Rows], seed: int, linear: bool) -> Result:
    """A run that stops has no model and no right answer."""
    try:
        return _contestant(transfer, rows, seed, linear)
    except GraftError:
        return Result(np.zeros(len(rows["test"][1])))


def _adapted(method: str, move: Callable[[np.ndarray], np.ndarray]) -> Callable[[int], dict[str, Result]]:
    def run(seed: int) -> dict[str, Result]:
        rows, linear, transfer = _rows(seed, move), method in _SHALLOW, METHODS[method]
        alone = {**rows, "train": rows["source"], "eval": rows["source_eval"]}
        found = {"method": _stopped(transfer, rows, seed, linear)}
        found["pixels, source alone"] = _contestant({"method": "frozen"}, alone, seed, True)
        if not linear:
            found["the same network, source alone"] = _contestant({"method": "frozen"}, alone, seed, False)
        labelled = {**rows, "train": rows["train"], "eval": rows["train"]}
        found["labels of the target"] = _contestant({"method": "frozen"}, labelled, seed, linear)
        found["control"] = _stopped(transfer, _rows(seed, move, shuffled=True), seed, linear)
        return found

    return run


EXPERIMENTS = [
    Experiment(
        f"E2, {told}",
        method,
        f"800 labelled digits of the source, 600 of the target without labels, {told}. Every setting is a default; "
        "what is chosen is chosen on the source and on the target without labels.",
        _adapted(method, move),
        "a source with shuffled labels, whose runs stop",
        shown=("labels of the target",),
    )
    for told, move in (("turned by 30 degrees", turned), ("pixels mixed", mixed))
    for method in METHODS
]
