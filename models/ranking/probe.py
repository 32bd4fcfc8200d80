"""Linear probe: the head that Graft itself would solve on these features, judged on examples that it has not seen.

Four folds. On each, a linear head is solved on two of the others along a path of L2 strengths, the third chooses the
strength, and the head is solved again on the three at that strength (`models.linear`). What counts are the answers to
the fold that was left out, all folds together: of classes the share that is right (chance is the share of the most
common class, at best), of labels the mean over the labels of the average precision (chance is the mean share of
examples with the label), of numbers R2, the mean over the columns (1 at best, near 0 or a little below where features
say nothing).

The dearest of the scores, and the nearest to what a run with method `frozen` will do.
"""

import numpy as np

from graft.models import convex, linear
from graft.models.errors import GraftError
from graft.models.options import HeadOptions
from graft.models.ranking.sample import folds

TITLE, RANGE = "linear probe", "accuracy, mean average precision of labels, R2 of numbers"
FORMS, READS = ("classes", "labels", "numbers"), "features"
FOLDS = 4


def score(given: np.ndarray, targets: np.ndarray, form: str, seed: int) -> float:
    """See above.

    Args:
        given: features, float64 [n, d].
        targets: as of `models.ranking.sample.Sample`.
        form: of them.
        seed: of the folds.

    Raises:
        GraftError: a class has fewer examples than there are folds.
    """
    _check(targets, form)
    features, fold = given.astype(np.float32), folds(targets, form, FOLDS, seed)
    outputs = np.zeros((len(targets), int(targets.max()) + 1 if form == "classes" else targets.shape[1]), np.float32)
    for held in range(FOLDS):
        out, choose = fold == held, fold == (held + 1) % FOLDS
        train, evaluate = (
            linear.Examples(features[rows], _encoded(targets[rows], form)) for rows in (~out & ~choose, choose)
        )
        path = linear.solve(train, evaluate, _loss(form, outputs.shape[1]), HeadOptions(refit=True))
        outputs[out] = features[out] @ path.model.kernel + path.model.bias
    return _judged(outputs, targets, form)


def _loss(form: str, units: int) -> convex.Convex:
    losses = {"classes": convex.Softmax, "labels": convex.Sigmoid, "numbers": convex.Squares}
    return losses[form](units)


def _encoded(targets: np.ndarray, form: str) -> np.ndarray:
    return targets if form == "classes" else targets.astype(np.float32)


def _judged(outputs: np.ndarray, targets: np.ndarray, form: str) -> float:
    if form == "classes":
        return float((outputs.argmax(axis=1) == targets).mean())
    if form == "labels":
        from sklearn.metrics import average_precision_score

        return float(average_precision_score(targets, outputs, average="macro"))
    errors = ((outputs - targets) ** 2).mean(axis=0)
    return float(np.mean(1 - errors / targets.var(axis=0)))


def _check(targets: np.ndarray, form: str) -> None:
    if form == "numbers":
        least, told = len(targets), "examples"
    elif form == "classes":
        counts = np.bincount(targets)
        least, told = int(counts.min()), f"examples of class {int(counts.argmin())}"
    else:
        ones = targets.sum(axis=0)
        rare = np.minimum(ones, len(targets) - ones)
        least, told = int(rare.min()), f"examples that decide label {int(rare.argmin())}"
    if least < FOLDS:
        raise GraftError(f"score 'probe': received {least} {told}; allowed: at least {FOLDS}, one in each fold")
