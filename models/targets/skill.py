"""What a model without skill reaches: floors above it to begin with, and warnings where a model is no better."""

import math
from collections.abc import Mapping
from typing import Any

from graft.models.run_warning import RunWarning

NEVER_FOUND, NO_SKILL = "never_found", "no_skill"

_PART, _SIGMAS = 0.1, 2.0
_RECALL = 0.1
_LEAST = 5
"""Test examples of a class that a floor on its recall needs: below that, luck decides."""
_SHOWN = 10


def above_chance(share: float, tested: int) -> float:
    """A floor on a share of examples, above what chance gives.

    It is a tenth of the way from there to 1, or two standard deviations of chance on so many examples where that is
    more, but never more than a third of the way.

    Args:
        share: what chance gives, 0 to 1.
        tested: examples that the share is measured on.
    """
    luck = _SIGMAS * math.sqrt(share * (1 - share) / max(tested, 1))
    return round(share + min(max(_PART * (1 - share), luck), (1 - share) / 3), 3)


def recall_floors(strata: Mapping[str, int], examples: int, tested: int) -> dict[str, Any]:
    """`recall` of every class that has the test examples for it; nothing where none has, or some of too many to name.

    Args:
        strata: examples by class, over all splits.
        examples: their number, over all splits.
        tested: those in the test split.
    """
    measured = [name for name, count in strata.items() if name and count * tested >= _LEAST * examples]
    if len(measured) == len([name for name in strata if name]):
        return {"recall": _RECALL} if measured else {}
    return {"recall": dict.fromkeys(measured, _RECALL)} if 0 < len(measured) <= 2 * _SHOWN else {}


def never_found(per_class: Mapping[str, Mapping[str, Any]], unit: str) -> list[RunWarning]:
    """A warning where no test example of a class is found, though there are some.

    Args:
        per_class: `recall` and `support` by class.
        unit: what several examples are called.
    """
    lost = {name: row["support"] for name, row in per_class.items() if row["support"] and not row["recall"]}
    if not lost:
        return []
    told = ", ".join(f"{name} (0 of {count})" for name, count in list(lost.items())[:_SHOWN])
    more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    text = (
        f"never found in the test split: {told}{more}; the recall is 0. Add {unit} of it, look for wrong "
        "labels, or set gates.recall"
    )
    return [RunWarning(NEVER_FOUND, text, grave=True)]


def no_better(name: str, value: float, chance: float, than: str) -> list[RunWarning]:
    """A warning where a figure that should be high is not above what needs no model.

    Args:
        name: of the figure, as in `gates`.
        value: measured.
        chance: what is reached without skill.
        than: what reaches it.
    """
    if value > chance:
        return []
    text = f"{name.replace('_', ' ')} {value:.4f} is no better than {than} ({chance:.4f}): nothing useful was learned"
    return [RunWarning(NO_SKILL, text, grave=True)]
