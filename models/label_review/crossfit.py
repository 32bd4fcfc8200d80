"""Answers to each example by a linear head that has not learned from it, nor from its group or near-duplicates."""

import hashlib
from collections.abc import Sequence

import numpy as np

from graft.models import linear
from graft.models.errors import GraftError
from graft.models.label_review.directions import strongest
from graft.models.options import HeadOptions
from graft.models.targets.base import Target

FOLDS = 5
MOST = 10_000
"""Examples that heads learn from; of more, those with the lowest digests, which is as good as chance."""

_SMALL = 2000
"""Up to so many, each fold has a say in the L2 strength; of more the first one decides, and the heads see only the
strongest directions of the vectors."""

_DIRECTIONS = 256


def folds(digests: np.ndarray, groups: Sequence[bytes | None], pairs: np.ndarray, count: int = FOLDS) -> np.ndarray:
    """The fold of each example, int [n] from 0: what belongs together stays together, copies too; the rest is by hash.

    Args:
        digests: bytes [n], hex sha256.
        groups: of each example; empty or None for none.
        pairs: int [m, 2], near-duplicates.
        count: number of folds.
    """
    root = list(range(len(digests)))

    def top(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    first: dict[bytes, int] = {}
    keys = [(place, key) for of in (groups, digests.tolist()) for place, key in enumerate(of) if key]
    same = [(first.setdefault(key, place), place) for place, key in keys]
    for one, other in [*same, *pairs.tolist()]:
        root[top(other)] = top(one)
    tops = np.array([top(place) for place in range(len(root))], int)
    _, member, sizes = np.unique(tops, return_inverse=True, return_counts=True)
    lowest: list[bytes] = [b""] * len(sizes)
    for place, of in enumerate(member.tolist()):
        lowest[of] = min(lowest[of] or digests[place], digests[place])
    hashes = [hashlib.sha256(b"graft labels" + digest).digest() for digest in lowest]
    # The largest first, each into the fold that has least: folds are as even as groups allow.
    order = sorted(range(len(sizes)), key=lambda of: (-sizes[of], hashes[of]))
    held, fold = [0] * count, np.zeros(len(sizes), int)
    for of in order:
        fold[of] = min(range(count), key=lambda place: (held[place], place))
        held[fold[of]] += int(sizes[of])
    return fold[member] if len(member) else np.zeros(0, int)


def answers(
    vectors: np.ndarray, encoded: np.ndarray, target: Target, fold: np.ndarray, learned: np.ndarray
) -> np.ndarray:
    """What the heads answer, each to the examples of its fold, that it has not learned from.

    Args:
        vectors: float32 [n, d].
        encoded: labels as `target.encode` gives them.
        target: what is predicted, fitted to the labels.
        fold: int [n], as of `folds`.
        learned: bool [n], the examples that may be learned from.

    Returns:
        what `target.answer_name` holds, one row an example.

    Raises:
        GraftError: a feature is no finite number, or there are too few examples.
    """
    used = np.flatnonzero(learned)
    count = int(fold.max(initial=0)) + 1
    splits = [(used[fold[used] != held], used[fold[used] == held]) for held in range(count)]
    if any(len(learning) == 0 or len(held) == 0 for learning, held in splits):
        raise GraftError(f"{len(used)} labelled examples, in too few groups for {FOLDS} folds")
    if len(used) > _SMALL:
        vectors = strongest(vectors, _DIRECTIONS)

    def solve(place: int, l2: float | None) -> linear.Path:
        learning, held = (linear.Examples(vectors[rows], encoded[rows]) for rows in splits[place])
        return target.solve(learning, held, HeadOptions(l2=l2), lambda done, step: None)

    asked = range(count if len(used) <= _SMALL else 1)
    chosen = sorted((path := solve(place, None)).steps[path.chosen].l2 for place in asked)
    strength = chosen[len(chosen) // 2]
    found: np.ndarray | None = None
    for place in range(count):
        head = solve(place, strength).model
        rows = np.flatnonzero(fold == place)
        given = target.measured(vectors[rows] @ head.kernel + head.bias)
        if found is None:
            found = np.zeros((len(vectors), *given.shape[1:]), np.float32)
        found[rows] = given
    assert found is not None
    return found
