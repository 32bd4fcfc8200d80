"""Planted wrong labels come to the top; where none are planted, few are flagged."""

import dataclasses

import numpy as np
import pytest
from label_data import labelled, target

from graft.models.label_review import crossfit, near
from graft.models.label_review.review import review


@pytest.mark.parametrize("seed", range(3))
def test_planted_labels_come_to_the_top_far_beyond_chance(seed):
    given, wrong = labelled(8, spread=2.0, seed=seed)
    found = review(given, target())
    top = found.doubts.rows[:16].tolist()
    assert len(wrong & set(top)) >= 7, "by chance 0.9 of 8 are among 16 of 150"
    flagged = set(found.doubts.rows[found.doubts.flagged].tolist())
    assert len(flagged & wrong) >= 4 and len(flagged & wrong) / len(flagged) > 0.5
    assert found.right > 0.7 and found.learned_from == 120 and not found.why_none


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_where_none_are_planted_few_are_flagged(seed):
    given, _ = labelled(0, spread=2.0, seed=seed)
    found = review(given, target())
    assert found.doubts.flagged.mean() < 0.05
    easy, _ = labelled(0, spread=0.5, seed=seed)
    assert not review(easy, target()).doubts.flagged.any()


def test_nothing_depends_on_the_order_of_the_examples():
    given, _ = labelled(5)
    given.vectors[9] = 2 * given.vectors[4] + 0.05
    order = np.random.default_rng(1).permutation(len(given.digests))
    moved = dataclasses.replace(
        given,
        **{name: getattr(given, name)[order] for name in ("vectors", "encoded", "digests", "learned")},
    )
    first, second = review(given, target()), review(moved, target())
    assert order[second.doubts.rows].tolist() == first.doubts.rows.tolist()
    np.testing.assert_array_equal(second.doubts.scores, first.doubts.scores)
    assert first.near.pairs.tolist() == [[4, 9]] == np.sort(order[second.near.pairs], axis=1).tolist()


def test_labels_of_the_test_split_are_only_held_against_the_others():
    given, _ = labelled(0)
    other = np.where(given.learned, given.encoded, (given.encoded + 1) % 3)
    first, second = (review(dataclasses.replace(given, encoded=labels), target()) for labels in (given.encoded, other))
    scores = [dict(zip(of.doubts.rows.tolist(), of.doubts.scores.tolist(), strict=True)) for of in (first, second)]
    learned = np.flatnonzero(given.learned).tolist()
    assert [scores[0][row] for row in learned] == [scores[1][row] for row in learned]
    rows = second.doubts.rows[second.doubts.flagged]
    assert (~given.learned[rows]).mean() > 0.7, "all labels of test are wrong now"


def test_copies_are_no_near_duplicates_and_share_a_fold():
    given, _ = labelled(0)
    given.vectors[6], given.digests[6], given.encoded[6] = given.vectors[1], given.digests[1], given.encoded[1]
    given.vectors[7] = given.vectors[2]
    assert review(given, target()).near.pairs.tolist() == [[2, 7]]
    fold = crossfit.folds(given.digests, given.groups, np.zeros((0, 2), int))
    assert fold[1] == fold[6]


def test_too_few_labels_are_not_judged_and_near_duplicates_still_found():
    given, _ = labelled(0, count=11)
    given.vectors[3] = given.vectors[2] * 1.5
    found = review(given, target())
    assert found.doubts is None and found.right is None and "8 labelled examples" in found.why_none
    assert found.near.pairs.tolist() == [[2, 3]]


def test_of_many_examples_some_are_learned_from_and_compared_and_all_are_judged(monkeypatch):
    given, wrong = labelled(8)
    monkeypatch.setattr(crossfit, "MOST", 80)
    monkeypatch.setattr(near, "MOST", 100)
    found = review(given, target())
    assert found.learned_from == 80 and found.near.looked_at == 100 and len(found.doubts.rows) == 150
    assert len(wrong & set(found.doubts.rows[:25].tolist())) >= 5
