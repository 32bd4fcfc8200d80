"""Quality on reference data, and its estimate where the truth is not known."""

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.signals import quality
from graft.models.signals.histogram import Numbers
from graft.models.targets import label, labels, make_target, numbers

LABEL = make_target(label.Options(), ["a", "b"])


def answered(count: int, seed: int, hard: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Truth and calibrated probabilities; the share `hard` of the examples is near a coin's toss."""
    rng = np.random.default_rng(seed)
    certain = np.where(rng.random(count) < hard, rng.uniform(0.5, 0.7, count), rng.uniform(0.9, 1.0, count))
    side = rng.integers(0, 2, count)
    truth = np.where(rng.random(count) < certain, side, 1 - side)
    return truth, np.where(side[:, None] == [0, 1], certain[:, None], 1 - certain[:, None]).astype(np.float32)


def reference(count: int = 2000, seed: int = 0) -> tuple[dict, Numbers]:
    truth, answers = answered(count, seed)
    bins = Numbers.fit("confidence", "", LABEL.signals(answers)["confidence"])
    return quality.measured(LABEL, truth, answers, {"confidence": bins}), bins


def test_what_is_kept_of_the_reference():
    kept, bins = reference()
    truth, answers = answered(2000, 0)
    assert kept["mean"] == LABEL.scores(truth, answers).mean() and kept["rows"] == 2000
    assert (kept["by"], kept["limits"], kept["headline"]) == ("confidence", [0.0, 1.0], "accuracy")
    assert [part["count"] for part in kept["bins"]] == [200] * 10 + [0] and len(kept["bins"]) == bins.size
    assert kept["bins"][-1]["mean"] is None
    right = Numbers("score", "", tuple(kept["scores"]["edges"])).bin(1.0)
    assert kept["scores"]["counts"][right] == 2000 * kept["mean"] and sum(kept["scores"]["counts"]) == 2000


def test_the_estimate_follows_inputs_that_become_harder_and_its_interval_holds_the_truth():
    held = []
    for seed in range(200):
        kept, bins = reference(500, seed)
        truth, answers = answered(300, 1000 + seed, 0.5 + seed % 2 * 0.4)
        found = quality.estimated(kept, bins.counts(LABEL.signals(answers)["confidence"]))
        held.append(found.low <= LABEL.scores(truth, answers).mean() <= found.high)
        assert found.high - found.low < 0.2
    assert np.mean(held) >= 0.91, "of 95 % intervals; by chance fewer in one of 150 such tests"


def test_a_model_that_is_confidently_wrong_is_not_seen_through():
    """The twin: what the estimate assumes is not so, and the interval does not hold the truth."""
    kept, bins = reference()
    truth, answers = answered(1000, 7)
    found = quality.estimated(kept, bins.counts(LABEL.signals(answers)["confidence"]))
    assert not found.low <= LABEL.scores(1 - truth, answers).mean() <= found.high


def test_a_spotless_reference_and_an_empty_bin_are_not_taken_for_certain():
    bins = Numbers("confidence", "", (0.5, 0.7, 0.9, 1.0))
    answers = np.repeat([[0.05, 0.95]], 20, axis=0).astype(np.float32)
    kept = quality.measured(LABEL, np.ones(20, int), answers, {"confidence": bins})
    assert kept["mean"] == 1.0
    known, unknown = (quality.estimated(kept, counts) for counts in ((0, 0, 50, 0), (50, 0, 0, 0)))
    assert known.low < 0.97 < known.high and unknown.low < 0.3 < known.low


def test_several_labels_are_estimated_and_numbers_say_that_it_takes_labels():
    several = make_target(labels.Options(), ["a", "b"])
    answers = np.array([[0.9, 0.2], [0.6, 0.5], [0.1, np.nan]], np.float32)
    bins = Numbers.fit("certainty", "", several.signals(answers)["certainty"])
    kept = quality.measured(several, np.array([[1, 0], [1, 1], [0, 0]], np.float32), answers, {"certainty": bins})
    assert kept["by"] == "certainty" and kept["bins"][-1] == {"count": 1, "mean": 0.0, "deviation": 0.0}
    columns = make_target(numbers.Options(columns=("x",)), ["x"])
    kept = quality.measured(columns, np.zeros((2, 1)), np.ones((2, 1)), {})
    assert (kept["by"], kept["mean"], kept["limits"]) == (None, -1.0, None)
    with pytest.raises(GraftError, match=r"quality cannot be estimated: answers of kind 'numbers' .* takes labels"):
        quality.estimated(kept, ())


def test_without_answers_or_with_other_bins_there_is_no_estimate():
    kept, bins = reference(100)
    with pytest.raises(GraftError, match="no answers"):
        quality.estimated(kept, (0,) * bins.size)
    with pytest.raises(ValueError, match="3 counts for the 11 bins"):
        quality.estimated(kept, (1, 2, 3))
