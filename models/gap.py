"""How much worse one model is than another on the same test examples, and how sure that is.

A gap is the mean score of one model's rival less its own; where an example scores 1 for a right answer and 0 else, that
is its error rate less that of the rival. The gap's variance has two sources: which examples happen to be in the test
split, and which seeds the models happened to be trained with. Examples are crossed with seeds, so that each source is
measured by its own means: over seeds for every example, over examples for every seed. Each of the two holds the part
that belongs to neither alone, which is therefore counted twice: the interval is a little too wide rather than too
narrow.
"""

import dataclasses
from typing import Any

import numpy as np

FALSE_ALARMS = 0.05
"""How often a gate that compares may close though nothing is worse; `benchmarks.comparisons` simulates it."""

LEAST_SEEDS = 3
"""Trainings of each model that a comparison of methods needs: one says nothing of the luck of training, and what two
say of it is so uncertain that no gap of a usual size stands out."""


@dataclasses.dataclass(frozen=True)
class Gap:
    """Mean score of a model's rival less that of the model.

    Attributes:
        mean: over examples and seeds; above 0 the model is worse.
        low: with probability `FALSE_ALARMS` at most, this lies above the true gap.
        high: likewise below it.
        per_seed: the gap of each seed.
    """

    mean: float
    low: float
    high: float
    per_seed: tuple[float, ...]

    @property
    def distinguishable(self) -> bool:
        """Whether the gap is more than luck."""
        return self.low > 0 or self.high < 0

    @property
    def beyond_luck(self) -> float:
        """The mean where the model is distinguishably worse; else 0, or the mean where that is below 0."""
        return self.mean if self.low > 0 else min(self.mean, 0.0)


def measure(rival: np.ndarray, model: np.ndarray, rivals: int = 1, largest: float | None = 1.0) -> Gap:
    """The gap between two models.

    Each source of variance gets the quantile of Student's t for its own degrees of freedom, and the squares add up
    (Howe, "Approximate Confidence Limits on the Mean of X + Y", JASA 69, 1974): few seeds cannot pass for certainty by
    being alike. For the variance over examples half an example of each outcome is added (Agresti and Min, Statistics in
    Medicine 24, 2005), for scores between right and wrong as for these two: nor can a handful of examples, all on one
    side.

    Args:
        rival: [seeds, n] scores of the rival, or bool: its right answers. One seed means two fixed models: only the
            examples vary.
        model: [seeds, n], likewise of the model, on the same examples.
        rivals: number of comparisons of which the worst decides; the tail of each bound is that part of `FALSE_ALARMS`
            (Bonferroni).
        largest: the largest difference that the scores of one example can have; None: the largest there is.
    """
    import scipy.stats  # a configuration, which knows the limits here, does not wait for it

    difference = np.asarray(rival, np.float64) - np.asarray(model, np.float64)
    seeds, examples = difference.shape
    per_seed, per_example = difference.mean(axis=1), difference.mean(axis=0)
    mean = float(
        difference.sum() / difference.size
    )  # of whole numbers: a tie is 0, not the rounding of a mean of means
    added = largest if largest is not None else float(np.abs(per_example).max(initial=0.0))
    count = examples + 2
    variance = ((per_example**2).sum() + added**2) / count - (per_example.sum() / count) ** 2
    by_examples = variance / count
    by_seeds = float(per_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    tail = 1 - FALSE_ALARMS / rivals
    by_examples *= scipy.stats.t.ppf(tail, count - 1) ** 2
    by_seeds *= scipy.stats.t.ppf(tail, seeds - 1) ** 2 if seeds > 1 else 0.0
    reach = float(np.sqrt(by_examples + by_seeds))
    return Gap(mean, mean - reach, mean + reach, tuple(map(float, per_seed)))


def apart(rival: np.ndarray, model: np.ndarray, rivals: int = 1, largest: float | None = 1.0) -> Gap:
    """The gap between two models that were judged on different examples; each with its own luck.

    Welch's interval (Biometrika 34, 1947), to the variance of each model half an example of each outcome added, as for
    a difference of two shares (Agresti and Caffo, The American Statistician 54, 2000).

    Args:
        rival: [n] scores of the rival, n > 0.
        model: [m] scores of the model, m > 0.
        rivals: see `measure`.
        largest: the largest difference between two scores; None: the largest there is.
    """
    import scipy.stats

    variances, freedom = [], []
    for scores in (np.asarray(rival, np.float64), np.asarray(model, np.float64)):
        deviations = scores - scores.mean()
        added = largest if largest is not None else float(np.abs(deviations).max())
        count = len(scores) + 2
        variances.append(((deviations**2).sum() + added**2) / count**2)
        freedom.append(count - 1)
    total = sum(variances)
    degrees = total**2 / max(sum(v**2 / f for v, f in zip(variances, freedom, strict=True)), 1e-300)
    reach = float(np.sqrt(total) * scipy.stats.t.ppf(1 - FALSE_ALARMS / rivals, max(degrees, 1.0)))
    mean = float(np.mean(rival, dtype=np.float64) - np.mean(model, dtype=np.float64))
    return Gap(mean, mean - reach, mean + reach, (mean,))


def compared(rival: np.ndarray, model: np.ndarray, largest: float | None = 1.0) -> dict[str, Any]:
    """Two fixed models on the same examples, as JSON types.

    Args:
        rival: [n] scores of the rival, n > 0.
        model: [n] scores of the model.
        largest: see `measure`.

    Returns:
        `examples`; mean scores of `candidate` and `rival`; `gap`, `interval` and `beyond_luck` as of `Gap`.
    """
    found = measure(rival[None], model[None], largest=largest)
    return {
        "examples": len(model),
        "candidate": float(model.mean()),
        "rival": float(rival.mean()),
        "gap": found.mean,
        "interval": [found.low, found.high],
        "beyond_luck": found.beyond_luck,
    }


def unmeasured() -> dict[str, Any]:
    """The keys of `compared` where no example can be compared."""
    return {"examples": 0, **dict.fromkeys(("candidate", "rival", "gap", "interval", "beyond_luck"))}


def told(found: dict[str, Any]) -> str:
    """A gap of `compared` in words."""
    low, high = found["interval"]
    luck = "" if low > 0 or high < 0 else ": not distinguishable"
    return f"{found['gap']:+.4f} ({low:+.4f} to {high:+.4f}){luck}"
