"""NLEEP: LEEP with the clusters of the features in place of the source's classes, so that it needs no classifier.

Principal components that keep 80 % of the variance, a mixture of 5 C Gaussians on them (C: classes), and LEEP of its
posteriors. From -inf to 0, as LEEP.

The mixture has at most one component for four examples, and none of its clusters is correlated: a full covariance of
each of 5 C clusters would have more numbers than a sample of some hundreds, and a mixture that fits each example by a
cluster of its own gives every labelling a score near 0. The clusters begin with k-means, drawn by the seed.

Li et al., "Ranking Neural Checkpoints", CVPR 2021; 80 % and 5 C as in stable_transfer (Agostinelli et al. 2022).
"""

import warnings

import numpy as np

from graft.models.errors import GraftError
from graft.models.ranking import leep

TITLE, RANGE = "NLEEP", "log likelihood of an example, at most 0"
FORMS, READS = ("classes",), "features"
VARIANCE, PER_CLASS, EXAMPLES_OF_ONE = 0.8, 5, 4


def score(given: np.ndarray, targets: np.ndarray, form: str, seed: int) -> float:
    """See above.

    Args:
        given: features, float64 [n, d].
        targets: int [n].
        form: `classes`.
        seed: of the mixture's beginning.

    Raises:
        GraftError: too few examples for two clusters, or features without variance.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    classes = int(targets.max()) + 1
    components = min(PER_CLASS * classes, len(targets) // EXAMPLES_OF_ONE)
    if components < 2:
        raise GraftError(f"score 'nleep': received {len(targets)} examples; allowed: at least {2 * EXAMPLES_OF_ONE}")
    spread = float(given.std())
    if not spread:
        raise GraftError("score 'nleep': the features are the same for every example; allowed: that they vary")
    # Scaled, so that the floor below the clusters' variances (1e-6) means the same for any features.
    reduced = PCA(n_components=VARIANCE, svd_solver="full").fit_transform(given / spread)
    mixture = GaussianMixture(components, covariance_type="diag", random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its last step is as good as any
        posteriors = mixture.fit(reduced).predict_proba(reduced)
    return leep.score(posteriors, targets, form, seed)
