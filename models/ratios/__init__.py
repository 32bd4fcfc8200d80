"""How much more often than in the source an example would occur in the target: estimates of p_target(x) / p_source(x).

An estimator is one file with

    estimate(source, target, most) -> weights

    source: float64 [n, d], rows of the source domain.
    target: float64 [m, d], rows of the target domain.
    most: no weight is larger than this.
    weights: float64 [n], of the source's rows, none below 0; their mean is near 1 where the domains overlap.

`truncation` says what `most` may well be. None looks at labels, and none draws anything from a seed: the same rows give
the same weights. So they suit where the domains differ in what occurs and not in what it means (covariate shift:
Shimodaira, "Improving predictive inference under covariate shift by weighting the log-likelihood function", J.
Statistical Planning and Inference 90, 2000).
"""

import math

from graft.models.registry import Registry


def truncation(count: int) -> float:
    """The largest weight that n rows should have: sqrt(n).

    It bounds the variance of a weighted mean, and what it costs vanishes as n grows (Ionides, "Truncated Importance
    Sampling", J. Computational and Graphical Statistics 17, 2008). Where the source hardly reaches the target, one row
    at its edge would else take all the weight; with mean 1 and this bound no fewer than sqrt(n) rows have it.
    """
    return math.sqrt(count)


ESTIMATORS = Registry(
    "transfer.estimator",
    {
        "classifier": "graft.models.ratios.classifier",
        "kliep": "graft.models.ratios.kliep",
        "kmm": "graft.models.ratios.kmm",
    },
    default="kmm",
)
