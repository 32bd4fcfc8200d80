"""How much more often one model is wrong than another on the same test images, and how sure that is.

A gap is the error rate of one model less that of another. Its variance has two sources: which images happen to be in
the test split, and which seeds the models happened to be trained with. Images are crossed with seeds, so that each
source is measured by its own means: over seeds for every image, over images for every seed. Each of the two holds the
part that belongs to neither alone, which is therefore counted twice: the interval is a little too wide rather than too
narrow.
"""

import dataclasses

import numpy as np

FALSE_ALARMS = 0.05
"""How often a gate that compares may close though nothing is worse; `benchmarks.comparisons` simulates it."""

LEAST_SEEDS = 3
"""Trainings of each model that a comparison of methods needs: one says nothing of the luck of training, and what two
say of it is so uncertain that no gap of a usual size stands out."""


@dataclasses.dataclass(frozen=True)
class Gap:
    """Error rate of a model less that of its rival.

    Attributes:
        mean: over images and seeds; above 0 the model is worse.
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


def measure(rival: np.ndarray, model: np.ndarray, rivals: int = 1) -> Gap:
    """The gap between two models.

    Each source of variance gets the quantile of Student's t for its own degrees of freedom, and the squares add up
    (Howe, "Approximate Confidence Limits on the Mean of X + Y", JASA 69, 1974): few seeds cannot pass for certainty by
    being alike. For the variance over images half an image of each outcome is added (Agresti and Min, Statistics in
    Medicine 24, 2005): nor can a handful of images, all on one side.

    Args:
        rival: bool [seeds, n], right answers of the rival. One seed means two fixed models: only the images vary.
        model: bool [seeds, n], right answers of the model, on the same images.
        rivals: number of comparisons of which the worst decides; the tail of each bound is that part of `FALSE_ALARMS`
            (Bonferroni).
    """
    import scipy.stats  # a configuration, which knows the limits here, does not wait for it

    difference = np.asarray(rival, np.float64) - np.asarray(model, np.float64)
    seeds, images = difference.shape
    per_seed, per_image = difference.mean(axis=1), difference.mean(axis=0)
    mean = float(
        difference.sum() / difference.size
    )  # of whole numbers: a tie is 0, not the rounding of a mean of means
    count = images + 2
    variance = ((per_image**2).sum() + 1) / count - (per_image.sum() / count) ** 2
    by_images = variance / count
    by_seeds = float(per_seed.var(ddof=1)) / seeds if seeds > 1 else 0.0
    tail = 1 - FALSE_ALARMS / rivals
    by_images *= scipy.stats.t.ppf(tail, count - 1) ** 2
    by_seeds *= scipy.stats.t.ppf(tail, seeds - 1) ** 2 if seeds > 1 else 0.0
    reach = float(np.sqrt(by_images + by_seeds))
    return Gap(mean, mean - reach, mean + reach, tuple(map(float, per_seed)))
