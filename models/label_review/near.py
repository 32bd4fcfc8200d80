"""Near-duplicates: examples whose vectors lie much closer than those of neighbours usually do.

The distance is 1 less the cosine. What is usual is the median distance of an example to its nearest neighbour, so the
measure fits any backbone and any data; of data in which most examples have a near-duplicate it finds none. A pair is
near within a fifth of the usual distance, or less: in data of few intrinsic dimensions neighbours come so near by
chance. With r1 and r2 the Euclidean distances to the two nearest neighbours, r2 / r1 is Pareto with the dimension m for
its exponent (Facco, d'Errico, Rodriguez and Laio, "Estimating the intrinsic dimension of datasets by a minimal
neighborhood information", Scientific Reports 7, 2017), and of n examples n (1 - 2^-(c^(m/2))) have their neighbour
within c times the median by chance. The limit lets that be half an example.

Cost: n^2 r multiplications for n vectors in r dimensions, in blocks of 64 MiB. Of more than 8,192 vectors only r = 128
directions are multiplied, the strongest of a sample: distances there are never above the true ones, so all pairs within
the limit are candidates, and are measured in full. 50,000 vectors take 3.2e11 multiplications, 100,000 would take
1.3e12. Of more than 50,000 the caller says which stay.
"""

import dataclasses
import math

import numpy as np

from graft.models.label_review.directions import strongest

LIMIT = 0.2
"""Largest share of the usual distance. Of 80 photos (TrashNet, MobileNetV2) nearly all stay within it when they are
saved again as a smaller JPEG, cropped by a twentieth or mirrored; the nearest two different ones lie at twice that."""

MOST = 50_000
_EXACT = 8192
_DIRECTIONS = 128
_SAMPLE = 1024
_EACH = 16
_BLOCK_BYTES = 64 * 2**20
_ROUNDING = 1e-6


@dataclasses.dataclass(frozen=True)
class Near:
    """Pairs of near-duplicates, the nearest first.

    Attributes:
        pairs: int [m, 2], places of the two, the lower one first. Of each example the 16 nearest at most.
        distances: float [m], from 0.
        usual: the median distance to the nearest neighbour; 0 where there is none.
        limit: the distance below which two are near.
        looked_at: how many vectors were compared, each with all others.
    """

    pairs: np.ndarray
    distances: np.ndarray
    usual: float
    limit: float
    looked_at: int


def find(vectors: np.ndarray, keep: np.ndarray | None = None) -> Near:
    """The near-duplicates among vectors, float [n, d], in an order that is no matter of chance.

    Args:
        vectors: of each example.
        keep: int [m], places of those that are compared, at most `MOST`; None: all.
    """
    places = np.arange(len(vectors)) if keep is None else np.sort(keep)
    if len(places) > MOST:
        raise ValueError(f"{len(places)} vectors; at most {MOST} are compared")
    units = _units(vectors[places])
    usual, dimension = _usual(units)
    limit = usual * _share(len(units), dimension)
    first, second = _candidates(units, limit)
    distances = _distances(units, first, second)
    # Below and not at: where most are equal, the usual distance is 0.
    near = distances < limit
    first, second, distances = first[near], second[near], distances[near]
    order = np.lexsort((second, first, distances))
    pairs = places[np.stack([first, second], axis=1)[order]].reshape(-1, 2)
    return Near(pairs, distances[order], usual, limit, len(places))


def _units(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1, float32; one of zeros stays so, and is far from all."""
    rows = np.asarray(vectors, np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
    return (rows / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)


def _usual(units: np.ndarray) -> tuple[float, float]:
    """The median distance to the nearest of the others, of up to 1,024 examples, and the dimension of the data."""
    if len(units) < 3:
        return 0.0, 1.0
    sample = np.unique(np.linspace(0, len(units) - 1, min(len(units), _SAMPLE)).astype(int))
    best = np.full((len(sample), 2), -np.inf, np.float32)
    for start, stop in _blocks(len(units), len(sample)):
        like = units[sample] @ units[start:stop].T
        like[sample[:, None] == np.arange(start, stop)] = -np.inf
        best = np.sort(np.partition(np.concatenate([best, like], axis=1), -2, axis=1)[:, -2:], axis=1)
    second, nearest = np.maximum(1.0 - best.astype(np.float64), 0.0).T
    # The logarithms of squared distances; equal neighbours say nothing.
    apart = nearest > 0
    ratio = float(np.median(second[apart] / nearest[apart])) if apart.any() else np.inf
    dimension = 2 * math.log(2) / math.log(ratio) if 1 < ratio < np.inf else 1.0
    return float(np.median(nearest)), dimension


def _share(count: int, dimension: float) -> float:
    """Of the usual distance: what half an example of so many is within by chance, at most `LIMIT`."""
    if count < 2:
        return 0.0
    return min(LIMIT, (-math.log2(1 - 0.5 / count)) ** (2 / dimension))


def _candidates(units: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of pairs, the lower one first, among them all that are nearer than `limit`."""
    short = units if len(units) <= _EXACT else strongest(units, _DIRECTIONS)
    half = np.einsum("ij,ij->i", short, short) / 2
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start, stop in _blocks(len(units), len(units)):
        # Half the squared Euclidean distance, which for vectors of length 1 is 1 less the cosine.
        near = half[start:stop, None] + half[None, start:] - short[start:stop] @ short[start:].T
        near[np.arange(stop - start)[:, None] >= np.arange(len(units) - start)] = np.inf
        within = near < limit + _ROUNDING
        crowded = np.flatnonzero(within.sum(axis=1) > _EACH)
        for row in crowded.tolist():
            nearest = np.argsort(near[row], kind="stable")[:_EACH]
            within[row] = False
            within[row, nearest] = True
        rows, columns = np.nonzero(within)
        found.append((rows + start, columns + start))
    if not found:
        return np.zeros(0, int), np.zeros(0, int)
    first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second


def _distances(units: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of pairs, float64 [m]: by their difference, which for near ones is exact where the cosine's rounding is not."""
    found = np.zeros(len(first))
    for start, stop in _blocks(len(first), 2 * units.shape[1]):
        apart = units[first[start:stop]].astype(np.float64) - units[second[start:stop]]
        found[start:stop] = np.einsum("ij,ij->i", apart, apart) / 2
    # A vector of zeros has no direction.
    empty = ~units.any(axis=1)
    return np.where(empty[first] | empty[second], 1.0, found)


def _blocks(count: int, width: int) -> list[tuple[int, int]]:
    """Beginnings and ends of blocks of rows that hold `width` numbers of 4 bytes each."""
    rows = max(1, _BLOCK_BYTES // (4 * max(width, 1)))
    return [(start, min(start + rows, count)) for start in range(0, count, rows)]
