"""The comparison with not transferring: who wins, by how much, and that the gap has the right sign."""

import dataclasses

import numpy as np
import pytest
from training_input import make_network

from models import references
from models.errors import GraftError
from models.task import Split

pytestmark = pytest.mark.slow


TRAIN = {"epochs": 6, "batch_size": 8, "learning_rate": 0.02, "patience": 6}


@pytest.fixture(scope="module")
def comparison(training_input):
    return training_input.comparison(train=TRAIN)


@pytest.fixture(scope="module")
def result(comparison):
    return references.negative_transfer(comparison, [0, 1])


def test_every_contestant_under_every_seed(result):
    assert result["seeds"] == [0, 1]
    assert result["test_images"] == 18
    assert set(result["accuracy"]) == {"transferred", "raw_head", "logistic_regression", "scratch"}
    assert all(len(values) == 2 for values in result["accuracy"].values())
    assert set(result["gap"]) == {"raw_head", "logistic_regression", "scratch"}


def test_gap_is_error_with_source_minus_error_without(result):
    for name, gap in result["gap"].items():
        expected = np.subtract(result["accuracy"][name], result["accuracy"]["transferred"])
        np.testing.assert_allclose(gap["per_seed"], expected, atol=1e-9)
        assert gap["min"] <= gap["median"] <= gap["max"]
        assert gap["interval"][0] <= gap["mean"] <= gap["interval"][1]


def test_budget_is_the_same_and_references_use_it_up(result):
    assert result["epochs"] == 6
    assert result["steps"]["raw_head"] == result["steps"]["scratch"] == [36, 36]
    assert all(steps <= 36 for steps in result["steps"]["transferred"])
    assert result["steps"]["logistic_regression"] == [None, None]


def test_best_reference_is_named_in_the_statement(result):
    means = {name: np.mean(values) for name, values in result["accuracy"].items() if name != "transferred"}
    assert means[result["best_reference"]] == max(means.values())
    assert f"({result['best_reference']})" in result["statement"]
    assert "2 seeds and 18 test images" in result["statement"]


def test_same_seeds_same_figures(comparison, result):
    again = references.negative_transfer(comparison, [0, 1], ["raw"])
    assert "scratch" not in again["accuracy"]
    for name in ("transferred", "raw_head", "logistic_regression"):
        assert again["accuracy"][name] == result["accuracy"][name]


def test_each_round_begins_with_its_seed(comparison, monkeypatch):
    """When training comes from the cache nothing else seeds what a network draws for itself, such as its dropout."""
    begun = []
    monkeypatch.setattr(references, "make_deterministic", begun.append)
    references.negative_transfer(comparison, [3, 5], ["raw"])
    assert begun == [3, 5]


def test_features_of_another_backbone_are_refused(training_input, tmp_path):
    backbone = tmp_path / "backbone.keras"
    make_network(seed=1).save(backbone)
    options = {"handle": str(backbone), "image_size": (16, 16), "value_range": (-1.0, 1.0)}
    with pytest.raises(GraftError, match="the features are of another backbone: identity"):
        references.negative_transfer(training_input.comparison(backbone=options), [0, 1, 2])


def test_features_that_say_nothing_are_negative_transfer(comparison):
    """The twin: the source hides what the pixels show, and the gap must say so."""

    def blind(split):
        noise = np.random.default_rng(len(split.labels)).normal(size=split.features.shape)
        return Split(noise.astype(np.float32), split.labels, split.patterns)

    useless = dataclasses.replace(
        comparison, **{name: blind(getattr(comparison, name)) for name in ("train", "eval", "test")}
    )
    found = references.negative_transfer(useless, [0, 1], ["raw"])
    best = found["gap"][found["best_reference"]]
    assert best["min"] > 0.2
    assert best["interval"][0] > 0
    assert best["probability_negative"] > 0.97
    assert found["statement"].startswith("Transferring is worse than not transferring")


def test_pixels_are_small_rows_in_zero_to_one(comparison):
    pixels = references.raw_pixels(comparison)
    assert {name: rows.shape for name, rows in pixels.items()} == {
        "train": (42, 16 * 16 * 3),
        "eval": (18, 16 * 16 * 3),
        "test": (18, 16 * 16 * 3),
    }
    assert pixels["train"].dtype == np.float32
    assert 0 <= pixels["train"].min() < pixels["train"].max() <= 1


def test_pixels_shrink_where_they_would_not_fit(comparison, monkeypatch):
    monkeypatch.setattr(references, "_PIXEL_BYTES", 78 * 8 * 8 * 3 * 4)
    assert references.raw_pixels(comparison)["train"].shape == (42, 8 * 8 * 3)


@pytest.mark.parametrize("chosen", [[], ["raw", "sratch"]])
def test_unknown_references_are_refused(comparison, chosen):
    with pytest.raises(GraftError, match=r"allowed: some of \('raw', 'scratch'\)"):
        references.negative_transfer(comparison, [0], chosen)


def test_bootstrap_of_equal_models_is_zero_and_of_a_clear_winner_is_not():
    rng = np.random.default_rng(0)
    same = rng.random((3, 200)) < 0.8
    equal = references.bootstrap_gap(same, same)
    assert equal["interval"] == [0.0, 0.0]
    assert equal["probability_negative"] == 0.0
    worse = same & (rng.random((3, 200)) < 0.7)
    clear = references.bootstrap_gap(same, worse)
    assert clear["interval"][0] > 0.1
    assert clear["probability_negative"] == 1.0
    assert references.bootstrap_gap(worse, same)["interval"][1] < -0.1


def test_bootstrap_of_a_tie_over_seeds_is_zero():
    """The seeds' gaps are 0.1, 0.2 and -0.3: the mean of their floats is not 0."""
    reference, transferred = np.zeros((3, 10), bool), np.zeros((3, 10), bool)
    reference[0, 0] = reference[1, :2] = transferred[2, :3] = True
    assert references.bootstrap_gap(reference, transferred)["mean"] == 0.0


def test_fine_tuned_model_is_compared_on_images(training_input):
    method = {"method": "fine_tune", "epochs": 1, "head_epochs": 6, "learning_rate": 1e-3}
    comparison = training_input.comparison(train=TRAIN, transfer=method)
    outcome = references.transferred(comparison, 0)
    assert outcome.history.max_epochs == 7
    assert outcome.correct.shape == (18,)
    assert outcome.correct.mean() > 0.8
