"""Which examples of a split scores are taken on: a stratified draw, whose classes are large enough for all scores."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from graft.models.errors import GraftError
from graft.models.ranking import probe
from graft.models.targets.base import Target

EACH = probe.FOLDS
"""Examples of each class that are drawn at the least: what the score with the largest need asks for."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The examples that are scored.

    Attributes:
        rows: int [n], rising places among all.
        targets: as of `models.ranking.sample.Sample`, row by row.
        form: of the targets.
        left_out: names of the classes that have too few examples.
    """

    rows: np.ndarray
    targets: np.ndarray
    form: str
    left_out: tuple[str, ...] = ()


def form_of(target: Target) -> str:
    """The form that the encoded targets of a kind have, see `models.ranking.sample.FORMS`."""
    if target.one_value:
        return "classes"
    return "labels" if target.stratum else "numbers"


def draw(encoded: np.ndarray, form: str, names: Sequence[str], count: int, seed: int) -> Drawn:
    """Draws examples, each class in its share and at least `EACH` of it; all of them where there are no more.

    Args:
        encoded: of all examples, as a target encodes them.
        form: of them.
        names: of the classes.
        count: of examples to draw, at most.
        seed: of the draw.

    Raises:
        GraftError: too few examples, or `count` is too small for the classes.
    """
    if count < 2 * EACH:
        raise GraftError(f"--sample: received {count}; allowed: at least {2 * EACH}")
    order = np.random.default_rng(seed).permutation(len(encoded))
    if form == "numbers":
        rows = np.sort(order[:count])
        if len(rows) < 2 * EACH:
            raise GraftError(f"the training split has {len(rows)} examples; a ranking needs at least {2 * EACH}")
        return Drawn(rows, encoded[rows], form)
    if form == "classes":
        return _of_classes(encoded, names, count, order)
    return _of_labels(encoded, names, count, order)


def _of_classes(encoded: np.ndarray, names: Sequence[str], count: int, order: np.ndarray) -> Drawn:
    held = np.bincount(encoded, minlength=len(names))
    kept = np.flatnonzero(held >= EACH)
    _check(len(kept), count, len(names))
    total = int(held[kept].sum())
    parts = []
    for one in kept:
        mine = order[encoded[order] == one]
        parts.append(mine[: max(EACH, round(count * len(mine) / total))])
    rows = np.sort(np.concatenate(parts))
    targets = np.searchsorted(kept, encoded[rows])
    return Drawn(rows, targets, "classes", tuple(names[i] for i in range(len(names)) if held[i] < EACH))


def _of_labels(encoded: np.ndarray, names: Sequence[str], count: int, order: np.ndarray) -> Drawn:
    ones = encoded.sum(axis=0)
    enough = np.minimum(ones, len(encoded) - ones) >= EACH
    kept = np.flatnonzero(enough)
    if not len(kept):
        raise GraftError(f"no label is on {EACH} training examples and missing on as many; a ranking needs that")
    _check(max(2, len(kept)), count, len(names))
    rows: dict[int, None] = {}
    for one in kept[np.argsort(ones[kept], kind="stable")]:
        for value in (1, 0):
            rows.update(dict.fromkeys(order[encoded[order, one] == value][:EACH].tolist()))
    others = [row for row in order.tolist() if row not in rows]
    chosen = np.sort([*rows, *others[: max(0, count - len(rows))]])
    left_out = tuple(names[i] for i in np.flatnonzero(~enough))
    return Drawn(chosen, encoded[chosen][:, kept], "labels", left_out)


def _check(kept: int, count: int, known: int) -> None:
    if kept < 2:
        raise GraftError(
            f"{kept} of {known} classes have {EACH} training examples; a ranking needs 2 such classes at the least"
        )
    if count < EACH * kept:
        raise GraftError(
            f"--sample: received {count}; allowed: at least {EACH * kept}, {EACH} of each of {kept} classes"
        )
