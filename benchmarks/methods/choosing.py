"""E5: which of eight sources? The one that `graft rank` picks, beside one that is picked by chance."""

import functools
import pathlib

import numpy as np
import scipy.stats

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result
from graft.models import ranking
from graft.models.ranking import compare
from graft.models.ranking.sample import Sample
from graft.models.ranking.verdict import judge
from graft.pipeline.demo import data

SCORES = ("logme", "nleep", "h_score", "knn", "probe")
LABELS = 20
_STEPS, _FEW_STEPS, _FEW_DIGITS = 500, 60, 300
_SHUFFLES = 3


def _full(images: data.Images, rng: np.random.Generator) -> data.Images:
    return images


def _few(images: data.Images, rng: np.random.Generator) -> data.Images:
    rows = rng.permutation(len(images.labels))[:_FEW_DIGITS]
    return data.Images(images.pixels[rows], images.labels[rows])


def _two_classes(images: data.Images, rng: np.random.Generator) -> data.Images:
    rows = np.flatnonzero(images.labels < 2)
    return data.Images(images.pixels[rows], images.labels[rows])


def _shuffled(share: float):
    def change(images: data.Images, rng: np.random.Generator) -> data.Images:
        labels = images.labels.copy()
        rows = rng.permutation(len(labels))[: round(share * len(labels))]
        labels[rows] = labels[rng.permutation(rows)]
        return data.Images(images.pixels, labels)

    return change


def _permuted(images: data.Images, rng: np.random.Generator) -> data.Images:
    flat = images.pixels.reshape(len(images.labels), -1)
    return data.Images(flat[:, rng.permutation(flat.shape[1])].reshape(images.pixels.shape), images.labels)


SOURCES = {
    "full": (_full, _STEPS),
    "few steps": (_full, _FEW_STEPS),
    "few images": (_few, _STEPS),
    "two classes": (_two_classes, _STEPS),
    "60 % of the labels shuffled": (_shuffled(0.6), _STEPS),
    "all labels shuffled": (_shuffled(1.0), _STEPS),
    "pixels permuted": (_permuted, _STEPS),
    "random weights": (_full, 0),
}
"""What each source learned from, and for how many steps."""


@functools.cache
def published(name: str, seed: int) -> pathlib.Path:
    """The backbone of a source; all of a seed begin with the same weights."""
    change, steps = SOURCES[name]
    if change is _full and steps == _STEPS:
        return digits.backbone(digits.CANVAS, seed)
    rng = np.random.default_rng([5, seed])
    pixels, labels = digits.dealt()["source"]
    rows = np.tile(np.arange(len(labels)), 15)
    images = change(data.Images(data.place(pixels[rows], digits.CANVAS, rng), labels[rows]), rng)
    return digits.publish(images, seed, f"source-{list(SOURCES).index(name)}", steps)


def _picked(found: dict[str, np.ndarray], labels: np.ndarray, seed: int) -> tuple[str, dict[str, dict[str, float]]]:
    """The source with the lowest mean rank, and the scores by source."""
    scores = {
        name: {score: ranking.measure(score, Sample(vectors, labels, seed=seed)) for score in SCORES}
        for name, vectors in found.items()
    }
    return judge(scores, compare.titles(SCORES)).winner, scores


def _run(seed: int) -> dict[str, Result]:
    rows = digits.canvases(seed, LABELS).rows
    settings = {name: digits.setting(published(name, seed), rows, seed, digits.CANVAS) for name in SOURCES}
    vectors = {name: setting.vectors("train") for name, setting in settings.items()}
    results = {name: setting.transferred({"method": "frozen"}) for name, setting in settings.items()}
    right = {name: float(result.scores.mean()) for name, result in results.items()}

    labels = rows["train"].labels
    winner, scores = _picked(vectors, labels, seed)
    rng = np.random.default_rng([6, seed])
    blind = [_picked(vectors, rng.permutation(labels), seed)[0] for _ in range(_SHUFFLES)]
    findings: dict[str, float | str] = {"picked": winner, "best": max(right, key=right.__getitem__)}
    findings["picked by shuffled labels"] = ", ".join(blind)
    for score in SCORES:
        tau = scipy.stats.weightedtau([scores[name][score] for name in SOURCES], list(right.values())).statistic
        findings[f"weighted tau of {score}"] = round(float(tau), 3)
        first = max(SOURCES, key=lambda name: scores[name][score])
        findings[f"accuracy picked by {score}"] = round(right[first], 4)
    best = results[findings["best"]]  # type: ignore[index]
    return {
        "method": Result(results[winner].scores, results[winner].seconds, 0, findings),
        # What one picked by chance scores on average.
        "a source by chance": Result(np.mean([result.scores for result in results.values()], axis=0)),
        "best source": Result(best.scores),
        "control": Result(np.mean([results[name].scores for name in blind], axis=0)),
    }


EXPERIMENTS = [
    Experiment(
        f"E5, one of 8 sources, {LABELS} labels a class",
        "graft rank",
        "Ten digits at random places in noise; the source with the lowest mean rank of LogME, NLEEP, H-score, k-NN and "
        "a linear probe on the training features, then a head on its frozen features.",
        _run,
        f"ranked by shuffled target labels, the mean of {_SHUFFLES} shuffles",
        shown=("best source",),
    )
]
