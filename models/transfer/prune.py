"""Fine-tuning that removes weights: gradual magnitude pruning of the backbone.

    s(t) = s_f (1 - (1 - t / T)^3),    0 <= t <= T

In each tensor of two or more dimensions that moves, the share s(t) of its weights with the smallest magnitude is 0 at
step t, and what is 0 stays so; s_f is `sparsity`, T the steps of the first `ramp_epochs` epochs (Zhu and Gupta, "To
prune, or not to prune", 2017, arXiv 1710.01878, equation 1, from no sparsity on, all tensors alike). Masks are drawn
anew every `every` steps, 100 in the paper. The epochs after the ramp let the rest recover, and only their weights can
be kept: an epoch before, or the head on the dense network, is better on eval and not what was asked for.

Offsets, scales, statistics and the head are left alone. The zeros make the export compress, not faster: TensorFlow's
kernels are dense.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field, model_validator

from graft.models.transfer.moving import MovingOptions

if TYPE_CHECKING:
    from graft.models.history import History
    from graft.models.phase import Phase
    from graft.models.task import Task

REFITS = STEPS = False


class Options(MovingOptions):
    """How sparse, how fast."""

    method: Literal["prune"] = "prune"
    sparsity: float = Field(
        default=0.8, ge=0.0, lt=1.0, description="Share of the weights of each pruned tensor that end as 0."
    )
    ramp_epochs: int = Field(default=2, ge=0, description="Epochs in which the sparsity rises; 0: all at once.")
    every: int = Field(default=100, ge=1, description="Steps between two choices of what is pruned.")
    epochs: int = Field(default=5, ge=1, description="Most epochs of the second phase, the ramp's among them.")

    @model_validator(mode="after")
    def _has_one_phase_to_prune_and_recover_in(self) -> Options:
        if self.ramp_epochs >= self.epochs:
            raise ValueError(
                f"ramp_epochs is {self.ramp_epochs} of {self.epochs} epochs; allowed: fewer than epochs, so that the "
                "pruned network has at least one to recover in"
            )
        if self.gradual or self.recipe:
            told = "gradual true" if self.gradual else f"recipe {self.recipe}"
            raise ValueError(f"prune has one phase of a length that it must know; leave out {told}")
        if not self.layer_decay:
            raise ValueError(
                "prune sets weights of all that is unfrozen; with layer_decay 0 most of it stays; unfreeze less"
            )
        return self


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then prunes the backbone while both are trained; ends with the best eval weights at full sparsity.

    Raises:
        GraftError: nothing that moves can be pruned, or there are several replicas.
    """
    from graft.models import loop
    from graft.models.errors import GraftError
    from graft.models.history import Finding
    from graft.models.pruning import Pruning
    from graft.models.transfer import moving

    options = cast(Options, task.options)
    if task.strategy.num_replicas_in_sync > 1:
        raise GraftError(
            f"transfer.method: 'prune' trains on one device; there are {task.strategy.num_replicas_in_sync}. Show the "
            "process one (CUDA_VISIBLE_DEVICES), or choose another method"
        )
    task.backbone.unfreeze(options.unfreeze)
    pruned = [variable for variable in task.backbone.trainable_variables if len(variable.shape) > 1]
    if not pruned:
        raise GraftError(
            f"transfer.method: 'prune' zeroes weights of two or more dimensions; backbone {task.backbone.handle!r} "
            f"has none that move with transfer.unfreeze {options.unfreeze}"
        )
    steps = -(-len(task.train) // task.training.batch_size) * options.ramp_epochs
    pruning = Pruning(pruned, options.sparsity, steps, options.every)
    phases = moving.phases(task, options, terms=[pruning])
    phases[-1] = dataclasses.replace(cast("Phase", phases[-1]), settles=options.ramp_epochs)
    try:
        history = loop.run(task, phases)
    finally:
        pruning.release()
    zeros, count = pruning.zeros()
    history.findings.append(
        Finding(
            "pruned weights",
            round(zeros / count, 4),
            f"{zeros:,} of the {count:,} weights in {len(pruned)} tensors of the backbone are 0; the export "
            "compresses, and answers as fast as before.",
        )
    )
    return history
