"""What all scores have in common: which samples they are for, and that order and seed decide nothing by accident."""

import dataclasses

import numpy as np
import pytest
import ranking_samples as samples

from graft.models import ranking
from graft.models.errors import GraftError
from graft.models.ranking.sample import FORMS, Sample, folds

OF_FEATURES = [name for name in ranking.SCORES if name != "leep"]


@pytest.mark.parametrize("name", OF_FEATURES)
def test_better_features_score_higher(name):
    scores = [ranking.measure(name, sample) for sample in (samples.random(), samples.between(), samples.perfect())]
    assert scores == sorted(scores) and scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("name", OF_FEATURES)
def test_more_features_than_examples_do_not_turn_them_round(name):
    wide = [make(count=60, classes=3, width=200) for make in (samples.random, samples.perfect)]
    # The noise of 200 directions is as long as the distance of the classes.
    assert ranking.measure(name, wide[0]) < ranking.measure(name, wide[1])


@pytest.mark.parametrize("name", ranking.SCORES)
def test_the_order_of_the_rows_changes_nothing_and_a_seed_repeats(name):
    sample = samples.between()
    theta = np.random.default_rng(3).dirichlet(np.ones(6), len(sample.targets))
    sample = dataclasses.replace(sample, probabilities=theta, seed=5)
    order = np.random.default_rng(4).permutation(len(sample.targets))
    moved = dataclasses.replace(
        sample, features=sample.features[order], targets=sample.targets[order], probabilities=theta[order]
    )
    assert ranking.measure(name, sample) == ranking.measure(name, moved) == ranking.measure(name, sample)


@pytest.mark.parametrize("name", ("logme", "h_score", "knn", "probe"))
def test_the_scale_of_the_features_changes_nothing(name):
    sample = samples.between()
    scaled = dataclasses.replace(sample, features=sample.features * 1e3)
    assert ranking.measure(name, scaled) == pytest.approx(ranking.measure(name, sample), rel=0.02)


@pytest.mark.parametrize(
    ("targets", "form", "told"),
    [
        ([0, 0, 1, 1, 3, 3], "classes", "received classes 0, 1, 3; allowed: every one from 0 to k - 1"),
        ([1, 1, 1, 2, 2, 2], "classes", "received classes 1, 2"),
        ([-1, -1, 0, 0, 1, 1], "classes", "received classes -1, 0, 1"),
        ([0, 0, 0, 1, 1, 2], "classes", "class 2 has 1 example; allowed: at least 2"),
        ([0, 0, 0, 0, 0, 0], "classes", "received one class"),
        ([0.0, 1, 0, 1, 0, 1], "classes", "allowed: one class of each example"),
        (np.eye(3)[[0, 0, 1, 1, 2, 2]], "classes", "allowed: one class of each example"),
        (np.eye(3)[[0, 0, 1, 1, 1, 2]], "labels", "label 2 is on 1 of 6 examples"),
        (np.full((6, 1), 0.5), "labels", "rows of zeros and ones"),
        (np.ones((6, 1)), "numbers", "column 0 is the same in every example"),
        (np.array([[1.0], [2], [3], [np.nan], [5], [6]]), "numbers", "rows of finite numbers"),
        ([0, 0, 1, 1, 2, 2], "ranks", "allowed: classes, labels, numbers"),
    ],
)
def test_bad_targets_are_refused(targets, form, told):
    features = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(GraftError, match=told):
        Sample(features, np.asarray(targets), form)


def test_bad_features_are_refused():
    good, targets = np.ones((6, 3)), np.arange(6) % 2
    with pytest.raises(GraftError, match="2 of 6 rows are not finite numbers, the first is row 1"):
        Sample(np.where(np.isin(np.arange(6), (1, 4))[:, None], np.nan, good), targets)
    with pytest.raises(GraftError, match=r"received shape \[5, 3\] with 6 targets"):
        Sample(good[:5], targets)
    with pytest.raises(GraftError, match="received 2 examples"):
        Sample(good[:2], targets[:2] * 0)
    with pytest.raises(GraftError, match=r"sum up to 2 to 2"):
        Sample(good, targets, probabilities=np.ones((6, 2)))
    for name in ("nleep", "h_score"):
        with pytest.raises(GraftError, match="the features are the same for every example"):
            ranking.measure(name, Sample(np.ones((40, 3)), np.arange(40) % 2))


def test_too_few_examples_for_one_score_are_refused_by_that_one():
    few = samples.perfect(count=9, classes=3)
    with pytest.raises(GraftError, match="score 'probe': received 3 examples of class 0; allowed: at least 4"):
        ranking.measure("probe", few)
    with pytest.raises(GraftError, match="score 'nleep': received 6 examples; allowed: at least 8"):
        ranking.measure("nleep", samples.perfect(count=6, classes=3))
    assert ranking.measure("knn", few) > 0.5 and ranking.measure("h_score", few) > 0


def test_what_a_score_is_for():
    classes = samples.between()
    numbers = Sample(classes.features, np.random.default_rng(0).normal(size=(240, 2)), "numbers")
    many = Sample(classes.features, np.eye(4)[classes.targets], "labels")
    told = {
        form: [name for name in ranking.SCORES if ranking.why_not(name, sample) is None]
        for form, sample in zip(FORMS, (classes, many, numbers), strict=True)
    }
    assert told == {
        "classes": ["logme", "nleep", "h_score", "knn", "probe"],
        "labels": ["logme", "probe"],
        "numbers": ["logme", "knn", "probe"],
    }
    assert ranking.why_not("leep", classes) == "needs a classifier"
    with pytest.raises(ranking.NotForIt, match="score 'h_score': not for this target"):
        ranking.measure("h_score", numbers)


def test_scores_are_chosen_by_name():
    assert ranking.names() == list(ranking.SCORES) and ranking.names(["probe", "knn"]) == ["probe", "knn"]
    with pytest.raises(GraftError, match="--scores: received 'logmee'; did you mean 'logme'"):
        ranking.names(["logmee"])
    with pytest.raises(GraftError, match="'knn' stands twice"):
        ranking.names(["knn", "knn"])


def test_folds_spread_every_class():
    targets = np.repeat([0, 1, 2], (40, 9, 4))
    found = folds(targets, "classes", 4, seed=1)
    counts = np.array([np.bincount(found[targets == one], minlength=4) for one in range(3)])
    assert (np.ptp(counts, axis=1) <= 1).all() and np.ptp(np.bincount(found)) <= 1
    many = np.zeros((40, 2))
    many[:, 0], many[:4, 1] = np.arange(40) % 2, 1
    assert np.bincount(folds(many, "labels", 4, seed=1)[:4]).tolist() == [1, 1, 1, 1]
    assert (folds(targets, "classes", 4, 1) != folds(targets, "classes", 4, 2)).any()
