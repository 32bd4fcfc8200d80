"""Mean ranks, ties, agreement, and the sentence that says which candidate to take."""

import pytest

from graft.models.errors import GraftError
from graft.models.ranking.verdict import judge

TITLES = {"logme": "LogME", "knn": "k-NN", "probe": "linear probe", "leep": "LEEP"}


def scores(**values):
    """name=(logme, knn, probe)."""
    return {name: dict(zip(("logme", "knn", "probe"), given, strict=True)) for name, given in values.items()}


def test_all_agree():
    found = judge(scores(a=(1, 0.5, 0.6), b=(2, 0.7, 0.9), c=(0, 0.1, 0.2)), TITLES)
    assert found.winner == "b" and found.mean_ranks == {"a": 2, "b": 1, "c": 3}
    assert found.statement == "Take b: all 3 scores put it first."
    assert found.agreement["logme"] == {"knn": 1.0, "probe": 1.0}


def test_the_lowest_mean_rank_wins_and_who_disagrees_is_named():
    found = judge(scores(a=(1, 0.5, 0.6), b=(2, 0.4, 0.9), c=(0, 0.7, 0.2)), TITLES)
    assert found.winner == "b" and found.agreement["logme"]["knn"] == -1.0
    assert found.statement == (
        "Take b: its mean rank over 3 scores is 1.67, that of the next, a, 2.00. The scores disagree: k-NN prefers c."
    )


def test_the_probe_decides_between_equal_mean_ranks():
    found = judge(scores(a=(2, 0.5, 0.6), b=(1, 0.7, 0.6)), TITLES)
    assert found.winner == "a" and "is shared with b, and it was named first" in found.statement
    del (given := scores(a=(2, 0.5, 0.6), b=(1, 0.7, 0.9)))["a"]["logme"], given["b"]["logme"]
    given["a"]["knn"], given["b"]["knn"] = 0.7, 0.5
    found = judge(given, TITLES)
    assert found.winner == "b" and "is shared with a, and linear probe decides" in found.statement


def test_equal_scores_share_their_places_and_tell_nothing():
    found = judge(scores(a=(1, 0.5, 0.6), b=(1, 0.7, 0.9)), TITLES)
    assert found.ranks["a"]["logme"] == found.ranks["b"]["logme"] == 1.5
    assert found.agreement["logme"]["knn"] is None


def test_a_score_that_some_lack_does_not_count_for_the_mean():
    given = scores(a=(1, 0.5, 0.6), b=(2, 0.7, 0.9))
    given["a"]["leep"] = -0.1
    found = judge(given, TITLES)
    assert list(found.compared) == ["logme", "knn", "probe"] and found.ranks["a"]["leep"] == 1
    assert found.winner == "b"


def test_one_candidate_or_none():
    assert "only candidate that could be scored" in judge(scores(a=(1, 2, 3)), TITLES).statement
    with pytest.raises(GraftError, match="no candidate has a score"):
        judge({}, TITLES)
    with pytest.raises(GraftError, match="no score was taken of every candidate"):
        judge({"a": {"knn": 1.0}, "b": {"probe": 1.0}}, TITLES)
