"""BSS, batch spectral shrinkage: fine-tuning in which the weakest directions of the features fade.

    minimise  L + weight * sum_{i=1..k} s_{-i}^2

s_{-i} is the i-th smallest singular value of the features of a batch, F [n, d]: there are min(n, d) of them. What the
source taught and the target cannot use is said to lie in these directions; to suppress them is to leave out what would
transfer negatively.

Reference settings (Chen, Wang, Fu, Long and Wang, "Catastrophic Forgetting Meets Negative Transfer: Batch Spectral
Shrinkage for Safe Transfer Learning", NeurIPS 2019): k 1, weight 1e-3, batches of 48, beside weight decay.

The squares are the eigenvalues of F F^T or of F^T F, whichever is smaller. With the unit vectors u of the smaller side
held still, s^2 = |F^T u|^2 has the gradient of the eigenvalue itself and nothing to divide by, where that of an
eigenvector divides by the difference of two eigenvalues. In a batch of fewer than k examples all count. With several
replicas each looks at its own share of the batch.

Weight 0 is `fine_tune` bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.transfer.moving import MovingOptions

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models.history import History
    from graft.models.objectives import Seen
    from graft.models.phase import Outcome
    from graft.models.task import Task

REFITS = STEPS = False


class Options(MovingOptions):
    """How strongly the weakest directions are drawn to nothing, and how freely the backbone moves."""

    method: Literal["bss"] = "bss"
    weight: float = Field(default=1e-3, ge=0.0, description="Of the sum of the smallest squared singular values.")
    k: int = Field(default=1, ge=1, description="How many singular values of a batch's features are drawn to nothing.")


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then backbone and head; both end with the best eval weights."""
    from graft.models import loop
    from graft.models.objectives import Plain
    from graft.models.phase import Outcome
    from graft.models.transfer import moving

    options = cast(Options, task.options)

    def spectrum(seen: Mapping[str, Seen]) -> Outcome:
        weakest = weakest_directions(seen["target"].features, options.k)
        return Outcome({"weakest_directions": weakest}, weights={"weakest_directions": options.weight})

    return loop.run(task, moving.phases(task, options, terms=[Plain(spectrum)]))


def weakest_directions(features: tf.Tensor, k: int) -> tf.Tensor:
    """The sum of the k smallest squared singular values of features float32 [n, d], a scalar."""
    import tensorflow as tf

    few = tf.shape(features)[0] < features.shape[1]
    side = tf.cond(few, lambda: features, lambda: tf.transpose(features))  # [smaller, larger]
    still = tf.stop_gradient(side)
    directions = tf.linalg.eigh(tf.matmul(still, still, transpose_b=True))[1][:, :k]  # of rising eigenvalues
    return tf.reduce_sum(tf.square(tf.matmul(side, tf.stop_gradient(directions), transpose_a=True)))
