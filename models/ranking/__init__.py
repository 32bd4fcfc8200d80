"""Which backbone suits a data set? Scores of feature vectors with targets, without the training of any network.

No score is the best everywhere (Agostinelli et al., "How Stable Are Transferability Metrics Evaluations?", ECCV 2022),
so several are taken and compared. A score is a file here and an entry in SCORES. Its module holds

- `TITLE`: what it is called in a table; `RANGE`: what its values mean, a few words;
- `FORMS`: the forms of targets that it is for, some of `models.ranking.sample.FORMS`;
- `READS`: `features`, or `probabilities` of the source's own classes where it needs a backbone with a classifier;
- `score(given, targets, form, seed)`: a pure function of arrays, the higher the better.

What is common to all (what a sample must be, and the order of its rows) is in `models.ranking.sample`.
"""

import math
from collections.abc import Sequence

import numpy as np

from graft.models.errors import GraftError
from graft.models.ranking.sample import Sample
from graft.models.registry import Registry

SCORES = Registry(
    "--scores",
    {
        "logme": "graft.models.ranking.logme",
        "leep": "graft.models.ranking.leep",
        "nleep": "graft.models.ranking.nleep",
        "h_score": "graft.models.ranking.h_score",
        "knn": "graft.models.ranking.knn",
        "probe": "graft.models.ranking.probe",
    },
)


class NotForIt(GraftError):
    """A score that cannot be taken of such a sample, however good the backbone is."""


def why_not(name: str, sample: Sample) -> str | None:
    """Why a score is not for such a sample, a few words; None where it is.

    Raises:
        GraftError: there is no score of that name.
    """
    module = SCORES.module(name)
    if sample.form not in module.FORMS:
        return "not for this target"
    if module.READS == "probabilities" and sample.probabilities is None:
        return "needs a classifier"
    return None


def measure(name: str, sample: Sample) -> float:
    """One score of one sample; the same for any order of its rows.

    Args:
        name: of SCORES.
        sample: features of one backbone, with targets.

    Raises:
        NotForIt: see `why_not`.
        GraftError: there is no such score, the score is no finite number, or its own refusal: too few examples.
    """
    reason = why_not(name, sample)
    if reason is not None:
        raise NotForIt(f"score {name!r}: {reason}")
    module = SCORES.module(name)
    sample = sample.in_order()
    given = sample.probabilities if module.READS == "probabilities" else sample.features
    found = float(module.score(given, sample.targets, sample.form, sample.seed))
    if not math.isfinite(found):
        raise GraftError(f"score {name!r}: received {found}; allowed: a finite number")
    return found


def names(chosen: Sequence[str] | None = None) -> list[str]:
    """The scores to take, all of them where none is named.

    Raises:
        GraftError: a name is unknown or stands twice.
    """
    for place, name in enumerate(chosen or ()):
        SCORES.module(name)
        if name in (chosen or ())[:place]:
            raise GraftError(f"--scores: {name!r} stands twice; allowed: each once")
    return list(chosen or SCORES)


def one_hot(labels: np.ndarray) -> np.ndarray:
    """float64 [n, k] of int [n], every class from 0 to k - 1."""
    return np.eye(int(labels.max()) + 1)[labels]
