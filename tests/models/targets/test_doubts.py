"""Labels in doubt, by hand: what is flagged, what is only ranked, what is neither."""

import numpy as np
import pytest

from graft.models.targets import KINDS, doubts, make_target

NAMES = ("cat", "dog")


def test_a_class_is_flagged_where_the_model_is_surer_than_of_that_class_on_average():
    labels = np.array([0, 0, 0, 1, 1, 1])
    dog = np.array([0.1, 0.2, 0.9, 0.8, 0.7, 0.6])  # the third looks like a dog; dogs have 0.7 on average
    found = doubts.of_class(NAMES, labels, np.stack([1 - dog, dog], axis=1), np.ones(6, bool))
    assert found.flagged.tolist() == [False, False, True, False, False, False]
    assert (found.given[2], found.suggested[2]) == ("cat", "dog")
    assert (found.for_given[2], found.for_suggested[2]) == pytest.approx((0.1, 0.9))
    assert found.scores == pytest.approx([-0.8, -0.6, 0.8, -0.6, -0.4, -0.2])


def test_one_that_is_less_sure_than_usual_is_only_ranked():
    labels, dog = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.1, 0.6, 0.9, 0.9])
    found = doubts.of_class(NAMES, labels, np.stack([1 - dog, dog], axis=1), np.ones(5, bool))
    assert not found.flagged.any() and found.scores.argmax() == 2


def test_what_is_not_learned_from_says_nothing_of_what_is_usual():
    labels, dog = np.array([0, 0, 0, 1, 1, 1]), np.array([0.1, 0.1, 0.65, 0.9, 0.9, 0.1])
    answers, learned = np.stack([1 - dog, dog], axis=1), np.array([True] * 5 + [False])
    assert not doubts.of_class(NAMES, labels, answers, learned).flagged[2]
    assert doubts.of_class(NAMES, labels, answers, np.ones(6, bool)).flagged[2], "the average is 0.63 with it"
    nobody = doubts.of_class(NAMES, labels, answers, labels == 0)
    assert not nobody.flagged[:5].any(), "of a class without examples nobody is sure enough"


def test_of_several_labels_each_is_one_of_two():
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [0, 1]], np.float32)
    answers = np.array([[0.9, 0.1], [0.9, 0.1], [0.95, 0.1], [0.1, 0.9], [0.1, 0.05]], np.float32)
    found = doubts.of_classes(NAMES, labels, answers, np.ones(5, bool))
    told = {(row, found.given[at], found.suggested[at]) for at, row in enumerate(found.rows) if found.flagged[at]}
    assert told == {(2, "not cat", "cat"), (4, "dog", "not dog")}
    assert set(found.rows.tolist()) == set(range(5)), "each example is ranked"


def test_a_number_is_flagged_far_beyond_what_chance_gives():
    rng = np.random.default_rng(0)
    answers = rng.normal(0, 1, (200, 2)).astype(np.float32)
    values = answers + rng.normal(0, [0.1, 2.0], (200, 2)).astype(np.float32)
    assert doubts.of_numbers(("a", "b"), values, answers, np.ones(200, bool)).flagged.sum() <= 2
    values[7, 0] += 1.0  # ten standard deviations of this number, half a one of the other
    found = doubts.of_numbers(("a", "b"), values, answers, np.ones(200, bool))
    assert found.flagged[7] and found.scores.argmax() == 7 and found.given[7].startswith("a ")
    assert np.isnan(found.for_given).all() and found.support == ""


def test_numbers_that_are_answered_exactly_are_in_no_doubt():
    values = np.arange(8.0, dtype=np.float32)[:, None]
    found = doubts.of_numbers(("a",), values, values.copy(), np.ones(8, bool))
    assert not found.flagged.any() and (found.scores == 0).all()


def test_targets_say_what_labels_are_and_which_contradict_one_another():
    label = make_target(KINDS.options("label")(), NAMES)
    assert label.label_texts(np.array([1, 0])) == ["dog", "cat"]
    assert label.contradict(np.array([1, 0]), np.array([1, 1])).tolist() == [False, True]
    labels = make_target(KINDS.options("labels")(), NAMES)
    assert labels.label_texts(np.array([[1, 1], [0, 0]], np.float32)) == ["cat, dog", "none"]
    assert labels.contradict(np.array([[1.0, 0]]), np.array([[1.0, 1]])).tolist() == [True]
    numbers = make_target(KINDS.options("numbers")(columns=("kg",)), ("kg",), {"mean": [0.0], "std": [2.0]})
    assert numbers.label_texts(np.array([[1.5]], np.float32)) == ["kg 1.5"]
    assert numbers.contradict(np.array([[1.0], [1.0]]), np.array([[2.5], [4.0]])).tolist() == [False, True]
