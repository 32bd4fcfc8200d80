"""What several scores say together of several candidates: ranks, agreement, and which to take."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from graft.models.errors import GraftError

TIE_BREAKERS = ("probe", "logme", "knn")
"""Which score decides between equal mean ranks, the first that was taken: the probe is nearest to a run."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Which candidate to take.

    Attributes:
        ranks: by candidate and score, from 1, the best; equal scores share the mean of their places.
        mean_ranks: by candidate, over the scores that all candidates have.
        compared: those scores.
        agreement: Kendall's tau-b of two scores' order of the candidates, by score and score; from -1 to 1, None where
            one of them tells no candidate from another.
        winner: the candidate with the lowest mean rank.
        statement: what it is, why, and where scores disagree, one sentence or two.
    """

    ranks: Mapping[str, Mapping[str, float]]
    mean_ranks: Mapping[str, float]
    compared: Sequence[str]
    agreement: Mapping[str, Mapping[str, float | None]]
    winner: str
    statement: str


def judge(scores: Mapping[str, Mapping[str, float]], titles: Mapping[str, str]) -> Verdict:
    """Ranks candidates by several scores.

    Args:
        scores: by candidate, in the order they were named, and score.
        titles: of the scores, for the sentence.

    Raises:
        GraftError: there is no candidate, or no score that all of them have.
    """
    candidates = list(scores)
    if not candidates:
        raise GraftError("no candidate has a score; nothing can be ranked")
    compared = [name for name in titles if all(name in scores[candidate] for candidate in candidates)]
    if not compared:
        raise GraftError("no score was taken of every candidate; nothing can be ranked")
    ranks: dict[str, dict[str, float]] = {candidate: {} for candidate in candidates}
    for name in titles:
        having = [candidate for candidate in candidates if name in scores[candidate]]
        for candidate, rank in zip(having, _ranked([scores[one][name] for one in having]), strict=True):
            ranks[candidate][name] = rank
    means = {one: float(np.mean([ranks[one][name] for name in compared])) for one in candidates}
    least = min(means.values())
    first = [one for one in candidates if math.isclose(means[one], least)]
    breaker = next((name for name in TIE_BREAKERS if name in compared), compared[0])
    winner = min(first, key=lambda one: ranks[one][breaker])
    orders = {name: [ranks[one][name] for one in candidates] for name in compared}
    agreement: dict[str, dict[str, float | None]] = {name: {} for name in compared}
    for one, other in itertools.permutations(compared, 2):
        agreement[one][other] = _tau(orders[one], orders[other])
    statement = _said(winner, first, means, ranks, compared, titles, breaker)
    return Verdict(ranks, means, compared, agreement, winner, statement)


def _ranked(values: Sequence[float]) -> list[float]:
    import scipy.stats

    return scipy.stats.rankdata(-np.asarray(values)).tolist()


def _tau(one: Sequence[float], other: Sequence[float]) -> float | None:
    import scipy.stats

    found = float(scipy.stats.kendalltau(one, other).statistic) if len(one) > 1 else math.nan
    return found if math.isfinite(found) else None


def _said(
    winner: str,
    first: Sequence[str],
    means: Mapping[str, float],
    ranks: Mapping[str, Mapping[str, float]],
    compared: Sequence[str],
    titles: Mapping[str, str],
    breaker: str,
) -> str:
    if len(means) == 1:
        return f"{winner} is the only candidate that could be scored; there is nothing to choose from."
    taken = f"{len(compared)} scores" if len(compared) > 1 else "1 score"
    others = {name: _leaders(ranks, name) for name in compared if winner not in _leaders(ranks, name)}
    if not others:
        all_of_them = f"all {taken} put" if len(compared) > 1 else f"{titles[compared[0]]} puts"
        return f"Take {winner}: {all_of_them} it first."
    wanted = "; ".join(f"{titles[name]} prefers {' and '.join(leaders)}" for name, leaders in others.items())
    if len(first) > 1:
        rivals = " and ".join(one for one in first if one != winner)
        how = (
            f"{titles[breaker]} decides"
            if ranks[winner][breaker] < min(ranks[one][breaker] for one in first if one != winner)
            else "it was named first"
        )
        why = f"its mean rank of {means[winner]:.2f} over {taken} is shared with {rivals}, and {how}"
    else:
        following = min((one for one in means if one != winner), key=lambda one: means[one])
        mine, next_one = f"{means[winner]:.2f}", f"{means[following]:.2f}"
        why = f"its mean rank over {taken} is {mine}, that of the next, {following}, {next_one}"
    return f"Take {winner}: {why}. The scores disagree: {wanted}."


def _leaders(ranks: Mapping[str, Mapping[str, float]], name: str) -> list[str]:
    least = min(found[name] for found in ranks.values())
    return [one for one, found in ranks.items() if found[name] == least]
