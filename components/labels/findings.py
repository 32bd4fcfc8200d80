"""What a review found, as JSON: the labels in their order of suspicion, pairs of near-duplicates, counts."""

import collections
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graft.components.labels.gather import Part
from graft.models.targets.base import Target

if TYPE_CHECKING:
    from graft.models.label_review.review import Review

FILE = "labels.json"

MOST = 10_000
"""Labels and pairs that are written; of labels all that are flagged are."""

SHOWN_LABELS, SHOWN_PAIRS = 12, 8
"""Those with previews."""


def findings(review: "Review", parts: Sequence[Part], why_no_test: str) -> dict[str, Any]:
    """All that was found.

    Returns:
        `examples` by split; `why_no_test`, empty where the test split was looked at; `learned_from` examples,
        `score_name` and `right`, its mean on answers to examples that were not learned from; `flagged` labels of
        `ranked` ones, `why_none`, `rule`, `score_words`, `support`. `labels`: the most suspicious first, those that are
        flagged before all others. `near`: counts and the distances that made them. `pairs`: those that contradict one
        another first, then those across splits, then the others, the nearest first.
    """
    examples = _Examples(parts, review.target)
    pairs = _pairs(review, parts, examples)
    partner: dict[int, tuple[float, int]] = {}
    for (first, second), distance in zip(review.near.pairs.tolist(), review.near.distances.tolist(), strict=True):
        for one, other in ((first, second), (second, first)):
            partner.setdefault(one, (distance, other))  # pairs come with the nearest first
    doubts = review.doubts
    flagged = 0 if doubts is None else int(doubts.flagged.sum())
    kept = 0 if doubts is None else min(len(doubts.rows), max(flagged, MOST))
    return {
        "examples": {part.split: len(part.files) for part in parts},
        "why_no_test": why_no_test,
        "learned_from": review.learned_from,
        "score_name": review.target.score_name,
        "right": review.right,
        "flagged": flagged,
        "ranked": 0 if doubts is None else len(doubts.rows),
        "why_none": review.why_none,
        "rule": "" if doubts is None else doubts.rule,
        "score_words": "" if doubts is None else doubts.score_words,
        "support": "" if doubts is None else doubts.support,
        "labels": [_label(review, place, examples, partner) for place in range(kept)],
        "near": {
            "usual": review.near.usual,
            "limit": review.near.limit,
            "looked_at": review.near.looked_at,
            "pairs": len(pairs),
            "contradicting": sum(pair["contradicting"] for pair in pairs),
            "across_splits": sum(pair["across_splits"] for pair in pairs),
            "within": sum(not pair["contradicting"] and not pair["across_splits"] for pair in pairs),
        },
        "pairs": pairs[:MOST],
    }


def shown(found: Mapping[str, Any]) -> dict[tuple[str, str], None]:
    """Split and digest of what a page shows; in order, each once."""
    first = [*found["labels"][:SHOWN_LABELS]]
    for pair in shown_pairs(found):
        first += [pair["first"], pair["second"]]
    return {(one["split"], one["sha256"]): None for one in first}


def shown_pairs(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Some of each kind, so that a common kind hides no other."""
    kinds: dict[tuple[bool, bool], list[dict[str, Any]]] = collections.defaultdict(list)
    for pair in found["pairs"]:
        kinds[pair["contradicting"], pair["across_splits"]].append(pair)
    each = max(1, SHOWN_PAIRS // max(len(kinds), 1))
    return [pair for pairs in kinds.values() for pair in pairs[:each]]


class _Examples:
    """What is told of an example, by its row among all."""

    def __init__(self, parts: Sequence[Part], target: Target):
        self._parts, self._target = parts, target
        self._starts = np.cumsum([0, *(len(part.files) for part in parts)])

    def __getitem__(self, row: int) -> dict[str, Any]:
        place = int(np.searchsorted(self._starts, row, side="right")) - 1
        part, at = self._parts[place], row - int(self._starts[place])
        return {
            "file": part.files[at],
            "split": part.split,
            "label": self._target.label_texts(part.encoded[at : at + 1])[0],
            "sha256": part.digests[at].decode(),
        }


def _label(
    review: "Review", place: int, examples: _Examples, partner: Mapping[int, tuple[float, int]]
) -> dict[str, Any]:
    doubts = review.doubts
    assert doubts is not None
    row = int(doubts.rows[place])
    nearest = None
    if row in partner:
        distance, other = partner[row]
        nearest = {**examples[other], "distance": distance}
    return {
        **examples[row],
        "given": doubts.given[place],
        "suggested": doubts.suggested[place],
        "for_given": _known(doubts.for_given[place]),
        "for_suggested": _known(doubts.for_suggested[place]),
        "score": float(doubts.scores[place]),
        "flagged": bool(doubts.flagged[place]),
        "nearest_duplicate": nearest,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _pairs(review: "Review", parts: Sequence[Part], examples: _Examples) -> list[dict[str, Any]]:
    pairs = review.near.pairs
    if not len(pairs):
        return []
    encoded = np.concatenate([part.encoded for part in parts])
    contradicting = review.target.contradict(encoded[pairs[:, 0]], encoded[pairs[:, 1]]).tolist()
    rows: Iterable[Any] = zip(pairs.tolist(), review.near.distances.tolist(), contradicting, strict=True)
    found = []
    for (first, second), distance, differ in rows:
        one, other = examples[first], examples[second]
        across = one["split"] != other["split"]
        found.append(
            {"distance": distance, "contradicting": differ, "across_splits": across, "first": one, "second": other}
        )
    return sorted(found, key=lambda pair: (not pair["contradicting"], not pair["across_splits"], pair["distance"]))
