"""L2-SP: fine-tuning whose weights are drawn towards where they started.

    minimise  L + weight/2 * sum_S |w_S - w_S0|^2 + head_weight/2 * sum_H |w_H|^2

S are the tensors of the backbone that move, w_S0 their published values, H the kernels of the head, which has no
starting point to be drawn to. It is a sum over all numbers of a tensor, not a mean: a mean would draw a large layer
less than a small one. Statistics of batch normalisation do not move and are in no sum; its scales and offsets are.

Reference settings (Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional
Networks", ICML 2018): weight 0.1, head_weight 0.01, with SGD at 0.01, momentum 0.9 and batches of 64. It pays where the
learning rate is too large for the data, or the data small; at the right rate and with much data it changes little.

Weight 0 is `fine_tune` bit for bit; a large one returns the published backbone. The published values are kept beside
the moving ones, 4 bytes for each number that moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.transfer.moving import MovingOptions

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from graft.models.history import Finding, History
    from graft.models.objectives import Seen
    from graft.models.phase import Group, Outcome
    from graft.models.task import Task

REFITS = False


class Options(MovingOptions):
    """How strongly the weights are drawn, and how freely the backbone moves."""

    method: Literal["l2_sp"] = "l2_sp"
    weight: float = Field(
        default=0.1, ge=0.0, description="Of half the squared distance of the backbone's weights from the published."
    )
    head_weight: float | None = Field(
        default=None,
        ge=0.0,
        description="Of half the squared norm of the head's kernels while the backbone moves; as `head.l2` has it (the "
        "weight of the whole square) where absent.",
    )


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then backbone and head, the former drawn back; both end with the best eval weights."""
    from graft.models import loop
    from graft.models.transfer import moving

    # Taken before a checkpoint is put back: a continued run starts from the published weights too.
    term = StartingPoint(task)
    history = loop.run(task, moving.phases(task, cast(Options, task.options), terms=[term]))
    history.findings.append(term.found())
    return history


class StartingPoint:
    """The penalty, as `distance`: the squared distance of all that moves from where it is when this is made.

    Args:
        task: of the method; its options are an `Options`.
    """

    groups: Sequence[Group] = ()
    state: Sequence[keras.Variable] = ()

    def __init__(self, task: Task):
        import tensorflow as tf

        self._backbone, self._head = task.backbone, task.head
        self._options = cast(Options, task.options)
        learned = [variable for unit in task.backbone.units for variable in unit]
        self._start = {id(variable): tf.constant(variable.numpy()) for variable in learned}

    def __call__(self, seen: Mapping[str, Seen]) -> Outcome:
        import tensorflow as tf

        from graft.models import heads
        from graft.models.phase import Outcome

        if self._options.head_weight is not None:
            # Here and not earlier: where the head is solved it brings the penalty that it was solved with.
            heads.set_penalty(self._head, self._options.head_weight / 2)
        moved = [tf.reduce_sum(tf.math.squared_difference(now, start)) for now, start in self._moving()]
        return Outcome({"distance": tf.add_n(moved)}, weights={"distance": self._options.weight / 2})

    def found(self) -> Finding:
        """How far the backbone is from where it was."""
        import numpy as np

        from graft.models.history import Finding

        pairs = [(now.numpy().astype(np.float64), start.numpy().astype(np.float64)) for now, start in self._moving()]
        moved = sum(float(np.sum((now - start) ** 2)) for now, start in pairs)
        norm = sum(float(np.sum(start**2)) for _, start in pairs)
        share = (moved / norm) ** 0.5 if norm else 0.0
        return Finding(
            "distance from the published weights",
            share,
            f"The weights that move ended {share:.2%} of their published norm away from it (weight "
            f"{self._options.weight:g}).",
        )

    def _moving(self) -> list[tuple[keras.Variable, tf.Tensor]]:
        """What moves, beside where it was."""
        return [(variable, self._start[id(variable)]) for variable in self._backbone.trainable_variables]
