"""Near-duplicates: planted ones are found, in other data none, whatever its scale and dimension."""

import numpy as np
import pytest

from graft.models.label_review import near


def drawn(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


def planted(vectors: np.ndarray, pairs: list[tuple[int, int]], noise: float) -> np.ndarray:
    """The second of each pair becomes nearly the first, and longer: only directions count."""
    rng = np.random.default_rng(1)
    for first, second in pairs:
        vectors[second] = 3 * (vectors[first] + noise * rng.normal(size=vectors.shape[1]))
    return vectors


def test_planted_pairs_are_found_and_nothing_else():
    found = near.find(planted(drawn(300, 32), [(3, 200), (10, 11)], 0.1))
    assert sorted(found.pairs.tolist()) == [[3, 200], [10, 11]] and found.looked_at == 300
    assert (np.diff(found.distances) >= 0).all() and (found.distances < found.limit).all()
    assert found.limit <= near.LIMIT * found.usual


@pytest.mark.parametrize("dimension", [3, 6, 32, 256])
def test_data_without_any_has_none(dimension):
    """In few dimensions neighbours come near by chance; half an example is expected."""
    assert sum(len(near.find(drawn(400, dimension, seed)).pairs) for seed in range(5)) <= 8


def test_where_most_are_the_same_nothing_is_nearer_than_usual():
    assert len(near.find(np.ones((20, 4), np.float32)).pairs) == 0
    assert len(near.find(np.zeros((20, 4), np.float32)).pairs) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_vectors_have_no_usual_distance(count):
    found = near.find(np.ones((count, 4), np.float32))
    assert found.pairs.shape == (0, 2) and found.looked_at == count


def test_many_vectors_are_compared_in_few_directions_with_the_same_result(monkeypatch):
    vectors = planted(drawn(600, 300), [(0, 500), (7, 8), (30, 599)], 0.1)
    exact = near.find(vectors)
    monkeypatch.setattr(near, "_EXACT", 100)
    monkeypatch.setattr(near, "_BLOCK_BYTES", 100_000)
    short = near.find(vectors)
    assert short.pairs.tolist() == exact.pairs.tolist() and len(exact.pairs) == 3
    np.testing.assert_allclose(short.distances, exact.distances)


def test_a_crowd_gives_each_its_nearest_only():
    vectors = drawn(400, 32)
    vectors[:100] = vectors[0] + 0.01 * vectors[:100]
    found = near.find(vectors)
    assert 100 <= len(found.pairs) <= 100 * 16 and found.pairs.max() < 100


def test_only_those_that_are_asked_for_are_compared(monkeypatch):
    vectors = planted(drawn(100, 32), [(1, 90), (2, 50)], 0.1)
    found = near.find(vectors, np.arange(60))
    assert found.pairs.tolist() == [[2, 50]] and found.looked_at == 60
    monkeypatch.setattr(near, "MOST", 50)
    with pytest.raises(ValueError, match="60 vectors; at most 50"):
        near.find(vectors, np.arange(60))
