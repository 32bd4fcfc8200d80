"""Figures and times as a person reads them."""

import datetime
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graft.monitoring.drift.results import Vectors


def moment(seconds: float) -> str:
    """A time in UTC to the minute; `seconds` since 1970."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"{seconds:.0f} s after 1970"


def span(seconds: float) -> str:
    """A length of time, in the largest unit that it fills twice."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def share(value: float) -> str:
    """Per cent; a trace is no nothing."""
    if 0 < value < 0.001:
        return "< 0.1 %"
    return f"{100 * value:.{0 if value >= 0.0995 else 1}f}".removesuffix(".0") + " %"


def luck(p_value: float) -> str:
    """How often luck alone brings as much in a window."""
    if p_value >= 0.2:
        return "often"
    if p_value < 1e-9:
        return "under once in a billion"
    count = 1 / p_value
    digits = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return f"once in {math.floor(count / digits) * digits:,.0f}"


def named(names: list[str], most: int = 3) -> str:
    """Some names as a list in a sentence: `a, b and 4 more`."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nothing"


def count(number: int, one: str, several: str = "") -> str:
    """`1 window`, `2,000 windows`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def vectors(found: "Vectors") -> str:
    """How well a window's feature vectors are told from the reference's, or why that is not known, as sentences."""
    if found.auc is None:
        return f"not compared: {found.unwatched}."
    auc = found.auc
    learned = f"half of {count(found.rows, 'example')} of the window and of {found.reference_rows:,} of the reference"
    interval = f"{share(1 - auc.miss)} interval {auc.low:.2f} to {auc.high:.2f}"
    return (
        f"a classifier learned from {learned} to tell them apart. Of the other half it tells one of the window from "
        f"one of the reference in {share(auc.mean)} of pairs (AUC {auc.mean:.2f}, {interval}); guessing does in 50 %."
    )
