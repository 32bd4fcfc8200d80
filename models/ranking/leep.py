"""LEEP: how well the classes of the source, as the backbone's classifier gives them, tell the target's classes.

    score = mean_i log sum_z P(y_i | z) theta(x_i)_z
    P(y | z) = sum_{i: y_i = y} theta(x_i)_z / sum_i theta(x_i)_z

theta(x)_z is the probability that the classifier gives to source class z. From -inf to 0: a classifier that names the
target's classes gives 0, one that says nothing of them minus the entropy of the labels (log C where C classes are
equally common). A source class that no example has any probability of is left out: its P(y | z) would be 0 / 0.

Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned Representations", ICML 2020.
"""

import numpy as np

from graft.models import ranking

TITLE, RANGE = "LEEP", "log likelihood of an example, at most 0"
FORMS, READS = ("classes",), "probabilities"


def score(given: np.ndarray, targets: np.ndarray, form: str, seed: int) -> float:
    """See above.

    Args:
        given: probabilities of the source's classes, float64 [n, z], rows of sum 1.
        targets: int [n].
        form: `classes`.
        seed: not used.
    """
    theta = given[:, given.sum(axis=0) > 0]
    joint = ranking.one_hot(targets).T @ theta
    likely = joint / joint.sum(axis=0)
    return float(np.log((likely[targets] * theta).sum(axis=1)).mean())
