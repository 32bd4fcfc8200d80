"""How good a model's answers were on reference data, and what that says of answers whose truth is not known.

Without labels, quality is estimated by the signal that goes with it (`Target.certainty`): the mean score that reference
examples had in each of the signal's bins, weighed by how many of the new answers fall there (average confidence,
calibrated by bins: Guillory et al., "Predicting with Confidence on Unseen Distributions", ICCV 2021). It sees that
inputs have become harder for the model. It cannot see that they have come to mean something else, nor that the model is
confidently wrong about what it never saw.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.models.errors import GraftError
from graft.models.signals.histogram import Numbers, Signal
from graft.models.targets.base import Target

_Z = 1.959964
"""Two-sided 95 % of a normal distribution."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean score with its 95 % interval."""

    mean: float
    low: float
    high: float


def measured(target: Target, encoded: np.ndarray, answers: np.ndarray, signals: Mapping[str, Signal]) -> dict[str, Any]:
    """What a reference keeps of the quality of answers, as JSON types.

    | key | holds |
    |---|---|
    | `headline`, `higher_is_better` | the figure that stands for the whole |
    | `score` | what the mean of `Target.scores` is, for people |
    | `mean`, `deviation`, `rows` | of the scores; a score is the higher the better |
    | `limits` | the least and the largest score there can be; null where there is none |
    | `by` | the signal that quality is estimated by without labels; null where the target has none |
    | `bins` | for each bin of that signal `count`, `mean` and `deviation` of its scores (null in an empty one) |
    | `scores` | `edges` of bins of the scores, as of `Numbers`, and `counts`, which late labels are held against |
    | `unestimated` | why there is no estimate, a line; null where there is one |

    Args:
        target: of the model.
        encoded: the truth, as `Target.encode` gives it.
        answers: what `Target.answer_name` holds.
        signals: of the answers, by name.
    """
    scores = np.asarray(target.scores(encoded, answers), np.float64)
    by = target.certainty
    held = {
        "headline": target.headline,
        "higher_is_better": target.higher_is_better,
        "score": target.score_name,
        "rows": len(scores),
        **_moments(scores),
        "limits": _limits(scores, target.score_range),
        "by": by,
        "bins": [],
        "scores": _histogram(scores),
        "unestimated": None,
    }
    if by is None:
        return held | {
            "unestimated": f"answers of kind {target.kind!r} do not tell how right they are: it takes labels"
        }
    places = np.array([signals[by].bin(value) for value in target.signals(answers)[by]], np.int64)
    parts = [scores[places == place] for place in range(signals[by].size)]
    return held | {"bins": [{"count": len(part), **_moments(part)} for part in parts]}


def _histogram(scores: np.ndarray) -> dict[str, list]:
    bins = Numbers.fit("score", "", scores.tolist())
    return {"edges": list(bins.edges), "counts": list(bins.counts(scores.tolist()))}


def _limits(scores: np.ndarray, span: float | None) -> list[float] | None:
    """From 0, where that is the least."""
    known = span is not None and (scores >= 0).all() and (scores <= span).all()
    return [0.0, float(span)] if known and span is not None else None


def _moments(scores: np.ndarray) -> dict[str, float | None]:
    if not len(scores):
        return {"mean": None, "deviation": None}
    return {"mean": float(scores.mean()), "deviation": float(scores.std())}


def estimated(quality: Mapping[str, Any], counts: Sequence[int]) -> Estimate:
    """The mean score of answers whose truth is not known.

    The interval holds the mean that these answers really have in 95 % of cases, where an answer of a bin is still as
    often right as on reference data: the luck of the reference and that of these answers are both in it. Each bin
    counts one more example, of the reference's mean score and of the largest variance, so that an empty or spotless bin
    is not taken for certain.

    Args:
        quality: of a reference.
        counts: of the bins of the signal `quality["by"]` in these answers.

    Raises:
        GraftError: the target has no such signal, or there is no answer or no reference example.
        ValueError: the counts are not those of its bins.
    """
    if quality["by"] is None:
        raise GraftError(f"quality cannot be estimated: {quality['unestimated']}")
    if len(counts) != len(quality["bins"]):
        raise ValueError(f"{len(counts)} counts for the {len(quality['bins'])} bins of {quality['by']!r}")
    total = sum(counts)
    if not total or quality["mean"] is None:
        raise GraftError("quality cannot be estimated: there are no answers" if not total else "no reference examples")
    overall, limits = quality["mean"], quality["limits"]
    largest = (limits[1] - limits[0]) ** 2 / 4 if limits else quality["deviation"] ** 2
    mean = variance = 0.0
    for count, kept in zip(counts, quality["bins"], strict=True):
        share, rows = count / total, kept["count"]
        own, spread = (kept["mean"], kept["deviation"] ** 2) if rows else (overall, 0.0)
        middle = (rows * own + overall) / (rows + 1)
        spread = (rows * spread + rows / (rows + 1) * (own - overall) ** 2 + largest) / (rows + 1)
        mean += share * middle
        variance += share**2 * spread / (rows + 1) + share * spread / total
    reach = _Z * math.sqrt(variance)
    low, high = mean - reach, mean + reach
    return Estimate(mean, max(low, limits[0]), min(high, limits[1])) if limits else Estimate(mean, low, high)
