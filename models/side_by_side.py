"""Two models' answers on their test splits side by side: figures, their differences, and how sure those are.

A figure's interval comes from its pseudo-values: by how much it changes where an example is left out (the jackknife;
Tukey, Annals of Mathematical Statistics 29, 1958). Of a mean they are the scores themselves. `models.gap` turns them
into intervals, paired where both models answered the same examples.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graft.models import gap
from graft.models.errors import GraftError
from graft.models.targets.base import Target

_BOUNDS = 2
"""Either bound may be wrong: half of `gap.FALSE_ALARMS` each, so intervals are of 95 %."""
_MOST_ALONE, _GROUPS = 1000, 500
"""Examples that are left out one by one; of more, groups of examples are."""
_AT_ONCE = 2**22
_ENOUGH = 0.5
"""Share of either test split that both must hold to be compared by example."""

PAIRED, COMMON, APART = "paired", "common", "unpaired"


@dataclasses.dataclass(frozen=True)
class Judged:
    """A model's answers on its test split.

    Attributes:
        target: what it answers.
        encoded: the truth, one row an example, encoded by `target`.
        answers: likewise, as `target.answer_name` holds them.
        sha256: digest of each example.
        domain: that was judged; empty where there are none.
    """

    target: Target
    encoded: np.ndarray
    answers: np.ndarray
    sha256: Sequence[bytes]
    domain: str = ""

    def taken(self, rows: np.ndarray) -> "Judged":
        """Some of the examples."""
        digests = [self.sha256[row] for row in np.arange(len(self.sha256))[rows]]
        return dataclasses.replace(self, encoded=self.encoded[rows], answers=self.answers[rows], sha256=digests)

    def among(self, names: Sequence[str]) -> "Judged":
        """On the examples and answers of some classes or numbers."""
        rows, encoded = self.target.truth_among(names, self.encoded)
        answers = self.target.answers_among(names, self.answers)[rows]
        return dataclasses.replace(
            self.taken(rows), target=self.target.narrowed(names), encoded=encoded[rows], answers=answers
        )


def compare(first: Judged, second: Judged) -> dict[str, Any]:
    """Two models, on what both can answer.

    Returns:
        JSON types. `test`: `first`, `second` (examples), `common`, `relabelled` (of those, with another truth),
        `pairing`; `statement`, sentences on that. `names`: `shared`, `only_first`, `only_second`. `figures`: by name a
        row; `parts`: by class or number a row, with `examples`; `part_score_name`. A row has `first` and `second`
        (`value`, `interval` of 95 %) and `difference` (`value`: the second less the first, `interval`,
        `distinguishable`); what could not be measured is None. `headline`: the figure that stands for the whole, and
        `higher_is_better`.

    Raises:
        GraftError: the models answer different things: no figure can be compared.
    """
    kinds = first.target.kind, second.target.kind
    if kinds[0] != kinds[1]:
        raise GraftError(f"the first answers {kinds[0]}, the second {kinds[1]}: no figure can be compared")
    shared = [name for name in second.target.names if name in first.target.names]
    if not shared:
        raise GraftError("the models know nothing in common: no figure can be compared")
    names = {
        "shared": shared,
        "only_first": [name for name in first.target.names if name not in shared],
        "only_second": [name for name in second.target.names if name not in shared],
    }
    test, one, other = _paired(first, second, shared)
    if not len(one.sha256) or not len(other.sha256):
        raise GraftError("no test example is of a class that both models know: no figure can be compared")
    one = dataclasses.replace(one, target=one.target.scored_like(other.target))
    paired = test["pairing"] != APART
    before, now = (judged.target.part_scores(judged.encoded, judged.answers) for judged in (one, other))
    return {
        "test": test,
        "statement": _statement(test, names, one, other),
        "names": names,
        "headline": second.target.headline,
        "higher_is_better": second.target.higher_is_better,
        "figures": _figures(one, other, paired),
        "part_score_name": second.target.part_score_name,
        "parts": _parts(before, now, paired, second.target.score_range),
    }


def _paired(first: Judged, second: Judged, shared: Sequence[str]) -> tuple[dict[str, Any], Judged, Judged]:
    """How the test splits go together, and the two on the examples and names that are compared."""
    places = {digest: row for row, digest in enumerate(first.sha256)}
    pairs = [(places[digest], row) for row, digest in enumerate(second.sha256) if digest in places]
    counts = len(first.sha256), len(second.sha256)
    test = {"first": counts[0], "second": counts[1], "common": len(pairs), "relabelled": 0}
    if len(pairs) < _ENOUGH * max(counts) or not pairs:
        return test | {"pairing": APART}, first.among(shared), second.among(shared)
    rows = np.array(pairs)
    one, other = first.taken(rows[:, 0]), second.taken(rows[:, 1])
    (known, before), (still, now) = (judged.target.truth_among(shared, judged.encoded) for judged in (one, other))
    differs = (before != now).reshape(len(rows), -1).any(axis=1)
    test["relabelled"] = int(((known != still) | (differs & known & still)).sum())
    # Both are held against one truth, the second's.
    answers = one.target.answers_among(shared, one.answers)
    other = other.among(shared)
    one = Judged(one.target.narrowed(shared), other.encoded, answers[still], other.sha256, one.domain)
    pairing = PAIRED if len(pairs) == counts[0] == counts[1] else COMMON
    return test | {"pairing": pairing}, one, other


def _statement(test: Mapping[str, Any], names: Mapping[str, Any], one: Judged, other: Judged) -> str:
    counts = f"{test['first']} and {test['second']} examples, {test['common']} in both"
    if test["pairing"] == PAIRED:
        told = [f"Both were judged on the same {test['common']} test examples: compared example by example."]
    elif test["pairing"] == COMMON:
        told = [f"The test splits differ ({counts}): compared example by example on those in both only."]
    else:
        told = [f"The test splits differ ({counts}): the comparison is unpaired, and so less sure."]
    if test["relabelled"]:
        told.append(f"{test['relabelled']} of them have another label in the second: both are held against that one.")
    if names["only_first"] or names["only_second"]:
        told.append(
            f"Compared on the {len(names['shared'])} names that both know, and the examples of these; "
            f"only the first knows {_listed(names['only_first'])}, only the second {_listed(names['only_second'])}."
        )
    if one.domain != other.domain:
        told.append(f"The first was judged on the domain {one.domain or 'all'}, the second on {other.domain or 'all'}.")
    if test["pairing"] != APART and np.array_equal(one.answers, other.answers):
        told.append("Both gave the same answers to every example.")
    return " ".join(told)


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


@dataclasses.dataclass(frozen=True)
class _Figure:
    """A figure of one model, its pseudo-values, and of how many examples they are."""

    value: float
    pseudo: np.ndarray
    examples: int

    @property
    def is_known(self) -> bool:
        return bool(len(self.pseudo)) and bool(np.isfinite(self.pseudo).all())

    def most(self, largest: float | None) -> float | None:
        """By how much one more example could move a pseudo-value; of a group it is one of several."""
        if largest is None:
            return None
        spread = np.abs(self.pseudo - self.pseudo.mean()).max()
        return max(largest * len(self.pseudo) / self.examples, float(spread))


def _figures(one: Judged, other: Judged, paired: bool) -> dict[str, Any]:
    before, now = _measured(one), _measured(other)
    return {name: _row(before[name], now[name], paired, other.target.score_range) for name in now if name in before}


def _measured(judged: Judged) -> dict[str, _Figure]:
    """Each figure, and its pseudo-values where an example, or a group of them, is left out."""
    examples = len(judged.sha256)
    groups = _GROUPS if examples > _MOST_ALONE else examples
    group = np.arange(examples) * groups // examples
    target, encoded, answers = judged.target, judged.encoded, judged.answers
    whole = {name: float(found[0]) for name, found in target.weighed(encoded, answers, np.ones((1, examples))).items()}
    left: dict[str, list[np.ndarray]] = {name: [] for name in whole}
    step = max(1, _AT_ONCE // examples)
    for begin in range(0, groups, step):
        out = np.arange(begin, min(begin + step, groups))
        for name, found in target.weighed(encoded, answers, (group != out[:, None]).astype(np.float64)).items():
            left[name].append(found)
    times = examples / np.bincount(group)
    return {
        name: _Figure(value, times * value - (times - 1) * np.concatenate(left[name]), examples)
        for name, value in whole.items()
    }


def _parts(
    before: Mapping[str, np.ndarray], now: Mapping[str, np.ndarray], paired: bool, largest: float | None
) -> dict[str, Any]:
    rows = {}
    for name in now:
        scores = [before[name], now[name]]
        told = [np.isfinite(of) for of in scores]
        if paired:
            told = [told[0] & told[1]] * 2
        one, other = (
            _Figure(float(kept.mean()) if len(kept) else np.nan, kept, len(kept))
            for kept in (of[rows] for of, rows in zip(scores, told, strict=True))
        )
        rows[name] = {"examples": [one.examples, other.examples], **_row(one, other, paired, largest)}
    return rows


def _row(first: _Figure, second: _Figure, paired: bool, largest: float | None) -> dict[str, Any]:
    found = {"first": _alone(first, largest), "second": _alone(second, largest)}
    if not (first.is_known and second.is_known):
        return found | {"difference": {"value": None, "interval": None, "distinguishable": None}}
    value = second.value - first.value
    if paired:
        difference = second.pseudo - first.pseudo
        most = _Figure(value, difference - difference.mean(), second.examples).most(largest)
        measured = gap.measure(second.pseudo[None], first.pseudo[None], _BOUNDS, most)
    else:
        most = None if largest is None else max(one.most(largest) or 0.0 for one in (first, second))
        measured = gap.apart(second.pseudo, first.pseudo, _BOUNDS, most)
    reach = measured.mean - measured.low
    low, high = value - reach, value + reach
    return found | {"difference": {"value": value, "interval": [low, high], "distinguishable": low > 0 or high < 0}}


def _alone(figure: _Figure, largest: float | None) -> dict[str, Any]:
    if not figure.is_known:
        return {"value": figure.value if np.isfinite(figure.value) else None, "interval": None}
    mean = np.full_like(figure.pseudo, figure.pseudo.mean())
    measured = gap.measure(figure.pseudo[None], mean[None], _BOUNDS, figure.most(largest))
    reach = measured.mean - measured.low
    low, high = figure.value - reach, figure.value + reach
    return {"value": figure.value, "interval": [low, high] if largest is None else [max(low, 0.0), min(high, largest)]}
