"""Which labels are in doubt, from answers of models that have not learned from them. NumPy only.

Classes go by confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 70, 2021): a label is flagged where the model is more sure of another one than it is, on average, of the
examples that carry that one. All are ranked by the normalised margin. Numbers go by standardised residuals, flagged by
Chauvenet's criterion ("A Manual of Spherical and Practical Astronomy" II, 1863).
"""

import dataclasses
import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_NORMAL = 1.4826
"""The standard deviation of normal values, in their median absolute deviations."""


@dataclasses.dataclass(frozen=True)
class Doubts:
    """Labels, each with how far a model contradicts it. An example may stand there more than once, or not at all.

    Attributes:
        rows: int [m], the places of the examples.
        scores: float [m], the higher, the more suspicious.
        flagged: bool [m], whether it is more than a rank.
        given: m texts, the labels as they are; of several the one that is in doubt.
        suggested: m texts, what the model says in their place.
        support: what `for_given` and `for_suggested` are, one word: `probability`; empty where there are none.
        for_given: float [m], of the label as it is.
        for_suggested: float [m], of what the model says.
        score_words: what a score is, for people.
        rule: when one is flagged, a sentence.
    """

    rows: np.ndarray
    scores: np.ndarray
    flagged: np.ndarray
    given: Sequence[str]
    suggested: Sequence[str]
    support: str
    for_given: np.ndarray
    for_suggested: np.ndarray
    score_words: str
    rule: str


_MARGIN = "probability of what the model says less that of the label"


def of_class(names: Sequence[str], labels: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> Doubts:
    """One label of k.

    Args:
        names: of the classes.
        labels: int [n].
        answers: float [n, k], probabilities by models that have not learned from the example.
        learned: bool [n], the examples that the averages are taken over.
    """
    every = np.arange(len(labels))
    given = answers[every, labels].astype(np.float64)
    others = answers.astype(np.float64)
    others[every, labels] = -1.0
    rivals = others.argmax(axis=1)
    rival = others[every, rivals]
    usual = np.array([_mean(given[learned & (labels == place)]) for place in range(len(names))])
    # The confident joint: of the classes that reach their own average the most probable one.
    confident = np.where(answers >= usual, answers, -1.0)
    counted = confident.argmax(axis=1)
    flagged = (confident[every, counted] >= 0) & (counted != labels) & (rival > given)
    rivals = np.where(flagged, counted, rivals)
    rival = np.where(flagged, answers[every, counted], rival)
    return Doubts(
        rows=every,
        scores=rival - given,
        flagged=flagged,
        given=[names[place] for place in labels],
        suggested=[names[place] for place in rivals],
        support="probability",
        for_given=given,
        for_suggested=rival,
        score_words=_MARGIN,
        rule="Flagged is where the model is more sure of another class than it is, on average, of the examples of that "
        "class.",
    )


def of_classes(names: Sequence[str], labels: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> Doubts:
    """Several labels of k: each of them, present or missing, is one of two.

    Args:
        names: of the classes.
        labels: float [n, k], 1 where the example has the label.
        answers: float [n, k], probabilities by models that have not learned from the example.
        learned: bool [n], the examples that the averages are taken over.

    Returns:
        of each example the label that is contradicted most, and all that are flagged.
    """
    present = labels > 0.5
    given = np.where(present, answers, 1.0 - answers).astype(np.float64)
    rival = 1.0 - given
    usual = np.array(
        [
            [_mean(given[learned & (present[:, place] == side), place]) for place in range(len(names))]
            for side in (False, True)
        ]
    )
    # What is held against the label is the average of those that have what it lacks, or lack what it has.
    against = np.where(present, usual[0], usual[1])
    flagged = (rival >= against) & (rival > given)
    shown = flagged.copy()
    shown[np.arange(len(labels)), rival.argmax(axis=1)] = True
    rows, places = np.nonzero(shown)
    has, lacks = (lambda place: names[place]), (lambda place: f"not {names[place]}")
    pairs = [(has, lacks) if there else (lacks, has) for there in present[rows, places]]
    return Doubts(
        rows=rows,
        scores=(rival - given)[rows, places],
        flagged=flagged[rows, places],
        given=[said(place) for (said, _), place in zip(pairs, places, strict=True)],
        suggested=[said(place) for (_, said), place in zip(pairs, places, strict=True)],
        support="probability",
        for_given=given[rows, places],
        for_suggested=rival[rows, places],
        score_words=_MARGIN,
        rule="Flagged is where the model is more sure of the opposite (the label is missing, or too many) than it is, "
        "on average, of the examples for which the opposite is said.",
    )


def of_numbers(names: Sequence[str], values: np.ndarray, answers: np.ndarray, learned: np.ndarray) -> Doubts:
    """One or several numbers.

    Args:
        names: of the numbers.
        values: float [n, k].
        answers: float [n, k], by models that have not learned from the example.
        learned: bool [n], the examples whose residuals say what is usual.

    Returns:
        of each example the number that is furthest from its answer, in robust standard deviations of the residuals.
    """
    residuals = values.astype(np.float64) - answers
    known = residuals[learned]
    middle = np.median(known, axis=0) if len(known) else np.zeros(len(names))
    usual = _NORMAL * np.median(np.abs(known - middle), axis=0) if len(known) else np.zeros(len(names))
    usual = np.where(usual > 0, usual, known.std(axis=0) if len(known) else 0.0)
    scores = np.abs(residuals - middle) / np.where(usual > 0, usual, np.inf)
    every, places = np.arange(len(values)), scores.argmax(axis=1)
    # Of so many normal values half a one is expected beyond.
    limit = NormalDist().inv_cdf(1 - 0.25 / max(scores.size, 1))
    found = scores[every, places]
    nothing = np.full(len(values), math.nan)
    return Doubts(
        rows=every,
        scores=found,
        flagged=found > limit,
        given=_texts(names, values, places),
        suggested=_texts(names, answers, places),
        support="",
        for_given=nothing,
        for_suggested=nothing,
        score_words="distance from what the model says, in robust standard deviations of all such distances",
        rule=f"Flagged is what lies more than {limit:.1f} robust standard deviations from what the model says: so far "
        "lies half a number of them all, were they normal.",
    )


def _texts(names: Sequence[str], values: np.ndarray, places: np.ndarray) -> list[str]:
    """Of each row of values [n, k] the number at a place [n], with its name."""
    rows = enumerate(places.tolist())
    return [f"{names[place]} {values[row, place]:.6g}" for row, place in rows]


def _mean(values: np.ndarray) -> float:
    """Infinite where there are none: nobody is more sure than that."""
    return float(values.mean()) if len(values) else math.inf
