"""Near-duplicates and labels in doubt of one data set, by its vectors."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from graft.models.errors import GraftError
from graft.models.label_review import crossfit, near
from graft.models.targets.base import Target
from graft.models.targets.doubts import Doubts

LEAST = 2 * crossfit.FOLDS
"""Labelled examples below which no label can be judged."""


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Examples with labels, a row each.

    Attributes:
        vectors: float32 [n, d].
        encoded: labels as the target encodes them.
        digests: S64 [n], hex sha256.
        groups: of each; empty or None for none.
        learned: bool [n]: of train or eval. The others, of test, are held against what those say; nothing is learned
            from them and nothing chosen on them.
    """

    vectors: np.ndarray
    encoded: np.ndarray
    digests: np.ndarray
    groups: Sequence[bytes | None]
    learned: np.ndarray


@dataclasses.dataclass(frozen=True)
class Review:
    """What was found; rows are places in what was given.

    Attributes:
        near: near-duplicates.
        doubts: labels with their suspicion; None where there are too few.
        why_none: why there are no `doubts`; empty if there are.
        learned_from: examples that heads learned from.
        right: mean score of the answers, as `Target.scores`; None without any.
        target: with the facts that the labels of train and eval teach.
    """

    near: near.Near
    doubts: Doubts | None
    why_none: str
    learned_from: int
    right: float | None
    target: Target


def review(given: Labelled, target: Target) -> Review:
    """Looks for near-duplicates and labels in doubt.

    Args:
        given: the examples, in any order: it does not matter.
        target: what is predicted, with its names.

    Raises:
        GraftError: the labels do not fit the target's settings.
    """
    # Of equal contents those that are learned from come first.
    order = np.lexsort((~given.learned, given.digests))
    ordered = Labelled(
        given.vectors[order],
        given.encoded[order],
        given.digests[order],
        [given.groups[place] for place in order.tolist()],
        given.learned[order],
    )
    fitted = target.fitted(ordered.encoded[ordered.learned])
    found = _without_copies(near.find(ordered.vectors, _compared(ordered.learned)), ordered.digests)
    learned = ordered.learned & (np.cumsum(ordered.learned) <= crossfit.MOST)
    doubts, right, why = None, None, ""
    try:
        doubts, right = _doubted(ordered, fitted, found.pairs, learned)
    except GraftError as error:
        why = str(error)
    pairs = np.sort(order[found.pairs].reshape(-1, 2), axis=1)
    if doubts is not None:
        doubts = dataclasses.replace(doubts, rows=order[doubts.rows])
    return Review(dataclasses.replace(found, pairs=pairs), doubts, why, int(learned.sum()), right, fitted)


def _without_copies(found: near.Near, digests: np.ndarray) -> near.Near:
    """Pairs of different contents: ingestion has dealt with the others."""
    differ = digests[found.pairs[:, 0]] != digests[found.pairs[:, 1]]
    return dataclasses.replace(found, pairs=found.pairs[differ], distances=found.distances[differ])


def _doubted(given: Labelled, target: Target, pairs: np.ndarray, learned: np.ndarray) -> tuple[Doubts, float]:
    if learned.sum() < LEAST:
        raise GraftError(f"{int(learned.sum())} labelled examples in train and eval; at least {LEAST} are needed")
    fold = crossfit.folds(given.digests, given.groups, pairs)
    answers = crossfit.answers(given.vectors, given.encoded, target, fold, learned)
    doubts = target.doubts(given.encoded, answers, given.learned)
    order = np.lexsort((doubts.rows, -doubts.scores, ~doubts.flagged))
    return _taken(doubts, order), float(target.scores(given.encoded, answers)[given.learned].mean())


def _taken(doubts: Doubts, order: np.ndarray) -> Doubts:
    """In an order: flagged ones first, each part by its scores."""
    places = order.tolist()
    arrays = ("rows", "scores", "flagged", "for_given", "for_suggested")
    texts = ("given", "suggested")
    changed: dict = {name: getattr(doubts, name)[order] for name in arrays}
    changed |= {name: [getattr(doubts, name)[place] for place in places] for name in texts}
    return dataclasses.replace(doubts, **changed)


def _compared(learned: np.ndarray) -> np.ndarray | None:
    """Which are compared where there are too many: all that is not learned from, then the first; None: all.

    They are in the order of their digests, so the first ones are as good as a random sample.
    """
    if len(learned) <= near.MOST:
        return None
    return np.argsort(learned, kind="stable")[: near.MOST]
