"""Selective transfer: eval chooses how many of the backbone's layer groups are transferred as they are.

    g_1 .. g_K: groups of layers from input to output (`graft backbone show` prints them)
    candidate k: g_1 .. g_(K-k) stay as they were published; the top k and the head are trained for `epochs`

k goes in `candidates` even steps from 1 to K; k = 0, the head on the published features, is a candidate too. The
weights of the epoch with the lowest eval loss over all candidates are kept, as with any method. Low layers carry over
between tasks, high ones are of their own task (Yosinski, Clune, Bengio and Lipson, "How transferable are features in
deep neural networks?", NIPS 2014, who transfer the first n layers and draw the others anew). `above` says where the top
k begin: at the published weights, or drawn anew, for where they do harm even as a start.

Candidates share nothing: each begins at the published weights and at the same head. One that beats no earlier one for
`train.patience` epochs is given up. So the budget is candidates * epochs on inputs, and one head. The more candidates,
the more of the best one's eval loss is luck; the findings tell how far behind the others are, and the test split, which
nothing here sees, has the last word.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.errors import GraftError
from graft.models.transfer import MethodOptions

if TYPE_CHECKING:
    import keras
    import numpy as np

    from graft.models.history import Finding, History
    from graft.models.phase import Phase
    from graft.models.solved_head import SolvedHead
    from graft.models.task import Task

REFITS = False


class Options(MethodOptions):
    """How many candidates, and how each is trained."""

    method: Literal["select"] = "select"
    candidates: int = Field(
        default=3,
        ge=1,
        le=10,
        description="How many parts of the backbone are tried, beside none of it, as what moves.",
    )
    above: Literal["unfreeze", "redraw"] = Field(
        default="unfreeze",
        description="Where the groups that are not transferred as they are begin: at the published weights, or drawn "
        "anew.",
    )
    learning_rate: float = Field(default=1e-4, gt=0.0, description="Adam's, for the head and what moves with it.")
    epochs: int = Field(default=5, ge=1, description="Most epochs of each candidate.")


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then trains candidate after candidate; ends with the best eval weights of all.

    Raises:
        GraftError: the backbone cannot be trained, or cannot be drawn anew in parts.
    """
    from graft.models import loop

    options = cast(Options, task.options)
    found, counts = phases(task, options)
    history = loop.run(task, found)
    history.findings.append(_chosen(task, history, counts))
    return history


def phases(task: Task, options: Options) -> tuple[list[Phase | SolvedHead], list[int]]:
    """The head and the candidates, and how many groups of each move.

    Args:
        task: its backbone is unfrozen; a phase moves a part.
        options: of the method.

    Raises:
        GraftError: see `fit`.
    """
    import numpy as np

    from graft.models.phase import Group
    from graft.models.standard_phases import backbone_phase, head_phase

    backbone = task.backbone
    assert backbone is not None
    backbone.unfreeze(1.0)
    groups = backbone.groups
    counts = [int(count) for count in np.unique(np.linspace(1, len(groups), options.candidates).round())]
    head = head_phase(task, task.training.epochs)
    start = _Start(task, options.above)
    # Whatever a candidate may change belongs to the state of each: the best weights are of one candidate throughout.
    state = [*task.head.variables, *backbone.trainable_variables, *start.kept]
    head.state = state[: len(state) - len(start.kept)]
    found: list[Phase | SolvedHead] = [head]
    for place, count in enumerate(counts):
        top = [variable for group in groups[len(groups) - count :] for variable in group.variables]
        moved = Group([*task.head.trainable_variables, *top], options.learning_rate)
        phase = backbone_phase(task, options.epochs, options.learning_rate, f"top {count}", groups=[moved])
        begin = start.before(top, first=place == 0)
        found.append(dataclasses.replace(phase, state=state, begin=begin))
    return found, counts


class _Start:
    """Where candidates begin: at the published backbone, at the head that was fitted on it.

    Attributes:
        kept: the fitted head's values, as variables, so that a checkpoint has them.
    """

    def __init__(self, task: Task, above: str):
        import keras

        from graft.models.batch_statistics import STATISTIC

        backbone = task.backbone
        assert backbone is not None
        self._head, self._seed, self._above = task.head, task.training.seed, above
        self._published = [(variable, variable.numpy()) for variable in backbone.trainable_variables]
        self._fresh = [variable.numpy() for variable in task.head.variables]
        if above == "redraw" and any(STATISTIC.search(variable.name) for variable in backbone.variables):
            raise GraftError(
                f"transfer.above: received 'redraw'; backbone {backbone.handle!r} has batch normalisation, whose "
                "statistics would not be those of weights drawn anew; allowed: unfreeze"
            )
        with task.strategy.scope():
            self.kept = [keras.Variable(value, trainable=False, dtype=value.dtype) for value in self._fresh]

    def before(self, top: list[keras.Variable], first: bool):
        """What happens before the candidate whose `top` moves; the first one finds the head as it was fitted."""
        drawn = {id(variable) for variable in top} if self._above == "redraw" else set()

        def begin() -> None:
            if first:
                for kept, variable in zip(self.kept, self._head.variables, strict=True):
                    kept.assign(variable)
            for place, (variable, published) in enumerate(self._published):
                variable.assign(self._drawn(variable, place) if id(variable) in drawn else published)
            # On features that are drawn anew the fitted head means nothing.
            begun = self._fresh if drawn else [kept.numpy() for kept in self.kept]
            for variable, value in zip(self._head.variables, begun, strict=True):
                variable.assign(value)

        return begin

    def _drawn(self, variable: keras.Variable, place: int) -> np.ndarray:
        import numpy as np

        from graft.models.backbone import drawn_anew

        value = drawn_anew(variable, True, np.random.default_rng([self._seed, place]))
        assert value is not None
        return value


def _chosen(task: Task, history: History, counts: list[int]) -> Finding:
    """Which candidate is kept, and how far the others are behind."""
    from graft.models.history import Finding

    assert task.backbone is not None
    groups, best = [group.name for group in task.backbone.groups], history.best
    losses = {0: min(epoch["val_loss"] for epoch in history.epochs if epoch["phase"] == "head")}
    for count in counts:
        tried = [epoch["val_loss"] for epoch in history.epochs if epoch["phase"] == f"top {count}"]
        losses[count] = min(tried, default=float("nan"))
    moved = 0 if best["phase"] == "head" else int(best["phase"].removeprefix("top "))
    kept = len(groups) - moved
    names = f"{groups[0]} to {groups[kept - 1]}" if kept > 1 else groups[0] if kept else "none"
    told = ", ".join(f"{len(groups) - count} kept {loss:.4f}" for count, loss in losses.items())
    return Finding(
        "layer groups transferred unchanged",
        f"{kept} of {len(groups)}",
        f"Eval chose among {len(losses)} candidates; kept as published: {names}. Lowest eval loss of each: {told}.",
    )
