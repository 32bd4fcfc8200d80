"""Frozen transfer: the backbone stays as it was published, a new head learns on its features.

The backbone sees each example once (the features stage); a linear head is then solved on the cached vectors, any other
one trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.task import Task

REFITS = SOLVES = True


class Options(MethodOptions):
    """The frozen method has no settings of its own: `head` and `train` say it all."""

    method: Literal["frozen"] = "frozen"


def reads_inputs(options: Options) -> bool:
    """It does not."""
    return False


def fit(task: Task) -> History:
    """Fits the head on the cached features; the backbone is not touched."""
    from graft.models import loop, standard_phases

    return loop.run(task, [standard_phases.head_phase(task, task.training.epochs)])
