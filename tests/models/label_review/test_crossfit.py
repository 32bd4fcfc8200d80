"""Folds that keep together what belongs together, and answers that know nothing of their example."""

import hashlib

import numpy as np
import pytest
from label_data import labelled, target

from graft.models.errors import GraftError
from graft.models.label_review import crossfit

NONE = np.zeros((0, 2), int)


def digests(count: int) -> np.ndarray:
    return np.array([hashlib.sha256(bytes([row])).hexdigest() for row in range(count)], "S64")


def test_groups_and_near_duplicates_share_a_fold_and_folds_are_even():
    groups = [b"g"] * 4 + [b""] * 46
    fold = crossfit.folds(digests(50), groups, np.array([[3, 20], [20, 21], [40, 41]]))
    assert len(set(fold[[0, 1, 2, 3, 20, 21]])) == 1 and fold[40] == fold[41]
    assert sorted(np.bincount(fold)) == [10] * 5


def test_folds_do_not_depend_on_the_order_of_the_examples():
    order = np.random.default_rng(0).permutation(50)
    groups = [b"%d" % (row // 3) if row < 30 else b"" for row in range(50)]
    first = crossfit.folds(digests(50), groups, np.array([[31, 32]]))
    place = np.argsort(order)
    second = crossfit.folds(digests(50)[order], [groups[row] for row in order], place[[[31, 32]]])
    assert second.tolist() == first[order].tolist() and len(set(first.tolist())) == 5


def test_no_answer_has_seen_its_own_label():
    """Of labels by chance nothing can be known; heads that had learned from them would be right."""
    given, _ = labelled(0, count=100)
    labels = np.random.default_rng(5).integers(0, 3, 100)
    fold = crossfit.folds(given.digests, given.groups, NONE)
    answers = crossfit.answers(given.vectors, labels, target(), fold, np.ones(100, bool))
    assert answers.shape == (100, 3) and (answers.argmax(axis=1) == labels).mean() < 0.5
    own = crossfit.answers(given.vectors, given.encoded, target(), fold, np.ones(100, bool))
    assert (own.argmax(axis=1) == given.encoded).mean() > 0.7


def test_the_labels_of_what_is_not_learned_from_change_nothing():
    given, _ = labelled(0, count=100)
    fold = crossfit.folds(given.digests, given.groups, NONE)
    other = np.where(given.learned, given.encoded, (given.encoded + 1) % 3)
    first, second = (
        crossfit.answers(given.vectors, labels, target(), fold, given.learned) for labels in (given.encoded, other)
    )
    np.testing.assert_array_equal(first, second)
    changed = np.where(given.learned, (given.encoded + 1) % 3, given.encoded)
    assert np.abs(crossfit.answers(given.vectors, changed, target(), fold, given.learned) - first).max() > 0.1


def test_few_groups_cannot_be_told_apart():
    given, _ = labelled(0, count=30)
    fold = crossfit.folds(given.digests, [b"one"] * 30, NONE)
    with pytest.raises(GraftError, match="30 labelled examples, in too few groups for 5 folds"):
        crossfit.answers(given.vectors, given.encoded, target(), np.maximum(fold, 0), np.ones(30, bool))


def test_more_examples_are_learned_from_in_few_directions(monkeypatch):
    given, _ = labelled(0)
    fold = crossfit.folds(given.digests, given.groups, NONE)
    whole = crossfit.answers(given.vectors, given.encoded, target(), fold, given.learned)
    monkeypatch.setattr(crossfit, "_SMALL", 10)
    monkeypatch.setattr(crossfit, "_DIRECTIONS", 16)
    short = crossfit.answers(given.vectors, given.encoded, target(), fold, given.learned)
    right = [(answers.argmax(axis=1) == given.encoded).mean() for answers in (whole, short)]
    assert abs(right[0] - right[1]) < 0.1 and min(right) > 0.7 and not np.array_equal(whole, short)
