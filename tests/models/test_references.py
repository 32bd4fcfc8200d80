"""The comparison with not transferring: who wins, by how much, and that the gap has the right sign."""

import dataclasses

import numpy as np
import pytest
from training_input import make_network

from graft.models import linear, references
from graft.models.errors import GraftError
from graft.models.task import Split

pytestmark = pytest.mark.slow


TRAIN = {"epochs": 6, "batch_size": 8, "learning_rate": 0.02, "patience": 6}


@pytest.fixture(scope="module")
def comparison(training_input):
    return training_input.comparison(train=TRAIN)


@pytest.fixture(scope="module")
def result(comparison):
    return references.negative_transfer(comparison, [0, 1, 2])


def test_every_contestant_under_every_seed(result):
    assert result["seeds"] == [0, 1, 2]
    assert result["test_examples"] == 18
    assert set(result["scores"]) == {"transferred", "raw_head", "raw_linear_head", "scratch"}
    assert all(len(values) == 3 for values in result["scores"].values())
    assert set(result["gap"]) == {"raw_head", "raw_linear_head", "scratch"}


def test_gap_is_error_with_source_minus_error_without(result):
    for name, gap in result["gap"].items():
        expected = np.subtract(result["scores"][name], result["scores"]["transferred"])
        np.testing.assert_allclose(gap["per_seed"], expected, atol=1e-9)
        assert gap["min"] <= gap["median"] <= gap["max"]
        assert gap["interval"][0] <= gap["mean"] <= gap["interval"][1]


def test_budget_is_the_same_and_references_use_it_up(result):
    assert result["epochs"] == 6
    assert result["steps"]["raw_head"] == result["steps"]["scratch"] == [36] * 3
    assert all(steps <= 36 for steps in result["steps"]["transferred"])
    assert result["steps"]["raw_linear_head"] == [None] * 3


def test_best_reference_is_named_in_the_statement(result):
    means = {name: np.mean(values) for name, values in result["scores"].items() if name != "transferred"}
    assert means[result["best_reference"]] == max(means.values())
    assert f"the gap to {result['best_reference']} is" in result["statement"]
    assert "3 seeds and 18 test images" in result["statement"]


def test_same_seeds_same_figures(comparison, result):
    again = references.negative_transfer(comparison, [0, 1, 2], ["raw"])
    assert "scratch" not in again["scores"]
    for name in ("transferred", "raw_head", "raw_linear_head"):
        assert again["scores"][name] == result["scores"][name]


def test_each_round_begins_with_its_seed(comparison, monkeypatch):
    """When training comes from the cache nothing else seeds what a network draws for itself, such as its dropout."""
    begun = []
    monkeypatch.setattr(references, "make_deterministic", begun.append)
    references.negative_transfer(comparison, [3, 5, 4], ["raw"])
    assert begun == [3, 5, 4]


def test_features_of_another_backbone_are_refused(training_input, tmp_path):
    backbone = tmp_path / "backbone.keras"
    make_network(seed=1).save(backbone)
    options = {"handle": str(backbone)}
    with pytest.raises(GraftError, match="the features are of another backbone: identity"):
        references.negative_transfer(training_input.comparison(backbone=options), [0, 1, 2])


def test_features_that_say_nothing_are_negative_transfer(comparison):
    """The twin: the source hides what the pixels show, and the gap must say so."""

    def blind(split):
        noise = np.random.default_rng(len(split.targets)).normal(size=split.features.shape)
        return Split(noise.astype(np.float32), split.targets, split.patterns)

    useless = dataclasses.replace(
        comparison, **{name: blind(getattr(comparison, name)) for name in ("train", "eval", "test")}
    )
    found = references.negative_transfer(useless, range(6), ["raw"])
    best = found["gap"][found["best_reference"]]
    assert best["min"] > 0.2
    assert best["interval"][0] > 0
    assert found["beyond_luck"] == best["mean"]
    assert found["statement"].startswith("Transferring is worse than not transferring")


@pytest.mark.parametrize("chosen", [[], ["raw", "sratch"]])
def test_unknown_references_are_refused(comparison, chosen):
    with pytest.raises(GraftError, match=r"allowed: some of \('raw', 'scratch'\)"):
        references.negative_transfer(comparison, [0, 1, 2], chosen)


def test_two_seeds_are_refused(comparison):
    with pytest.raises(GraftError, match=r"negative_transfer\.seeds: received 2; allowed: at least 3"):
        references.negative_transfer(comparison, [0, 1])


def test_a_solved_head_is_solved_once_for_features_and_pixels_alike(training_input, monkeypatch):
    comparison = training_input.comparison(train=TRAIN, head={})
    solved = []
    solve = linear.solve
    monkeypatch.setattr(linear, "solve", lambda *a, **k: solved.append(a[0].features.shape[1]) or solve(*a, **k))
    found = references.negative_transfer(comparison, [0, 1, 2], ["raw"])
    assert solved == [16, 16 * 16 * 3]
    assert set(found["gap"]) == {"raw_head"}, "on pixels it is logistic regression itself"
    assert len(set(found["scores"]["raw_head"])) == 1


def test_fine_tuned_model_is_compared_on_images(training_input):
    method = {"method": "fine_tune", "epochs": 1, "head_epochs": 6, "learning_rate": 1e-3}
    comparison = training_input.comparison(train=TRAIN, transfer=method)
    outcome = references.transferred(comparison, 0)
    assert outcome.history.max_epochs == 7
    assert outcome.scores.shape == (18,)
    assert outcome.scores.mean() > 0.8
