"""NLEEP: its limits, and that it is LEEP of scikit-learn's mixture on scikit-learn's components."""

import math

import numpy as np
import pytest
import ranking_samples as samples
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from graft.models import ranking
from graft.models.ranking import leep


def test_classes_that_are_clusters_give_0():
    assert ranking.measure("nleep", samples.perfect()) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_features_that_say_nothing_come_near_minus_the_entropy():
    # 5 C clusters of chance with n / (5 C) = 200 examples each: a likelihood ratio gains (C - 1) / 2 nats a cluster on
    # average (Wilks), 5 C (C - 1) / (2 n) = .0075 of an example.
    found = ranking.measure("nleep", samples.random(count=4000))
    assert -math.log(4) < found < -math.log(4) + 0.02


def test_it_is_leep_of_a_mixture_on_principal_components():
    sample = samples.between(count=100, classes=2).in_order()
    kept = PCA().fit(sample.features)
    count = int(np.searchsorted(np.cumsum(kept.explained_variance_ratio_), 0.8) + 1)
    reduced = PCA(n_components=count).fit_transform(sample.features / sample.features.std())
    posteriors = GaussianMixture(10, covariance_type="diag", random_state=0).fit(reduced).predict_proba(reduced)
    expected = leep.score(posteriors, sample.targets, "classes", 0)
    assert ranking.measure("nleep", sample) == pytest.approx(expected, abs=1e-6)


def test_a_few_examples_get_few_clusters():
    # With as many clusters as examples any labelling would score near 0.
    few = samples.random(count=40, classes=8)
    assert ranking.measure("nleep", few) < -0.8
