"""The ratio from a classifier that tells the domains apart.

    w(x) = n / m * p(x) / (1 - p(x))

p is the probability that a row is of the target, from a logistic regression on n rows of the source and m of the
target: by Bayes' rule the right one is p_target(x) m / (p_target(x) m + p_source(x) n). Bickel, Bruckner and Scheffer,
"Discriminative Learning for Differing Training and Test Distributions", ICML 2007.

The regression sees the coordinates and the squares of their distances from the mean, for the log ratio of two Gaussians
is quadratic. It is cross-fitted: p of a row is from a regression that did not see it, for on its own rows a regression
is too sure, and a sure p gives weights of nearly 0. Where p is near 1 a small error of it is a large one of w: `most`
matters here more than elsewhere.
"""

import numpy as np

FOLDS = 5
_SURE = 1e-12


def estimate(source: np.ndarray, target: np.ndarray, most: float = 1000.0) -> np.ndarray:
    """Weights of the source's rows; see `models.ratios`.

    Args:
        source: float64 [n, d].
        target: float64 [m, d].
        most: largest weight.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.concatenate([source, target])
    rows = np.concatenate([rows, (rows - rows.mean(axis=0)) ** 2], axis=1)
    domains = np.arange(len(rows)) >= len(source)
    # Every 5th row of each domain: strata, without a draw.
    places = np.concatenate([np.arange(len(source)), np.arange(len(target))])
    folds = min(FOLDS, len(source), len(target))
    probabilities = np.empty(len(source))
    for fold in range(folds):
        out = places % folds == fold
        seen = ~out if folds > 1 else np.ones_like(out)
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows[seen], domains[seen])
        of_source = out[: len(source)]
        probabilities[of_source] = fitted.predict_proba(rows[: len(source)][of_source])[:, 1]
    odds = probabilities / np.maximum(1 - probabilities, _SURE)
    return np.minimum(odds * (len(source) / len(target)), most)
