"""MK-MMD: the two domains' examples are made to look like draws of one distribution where the head's last layer reads.

    minimise  L_source + weight * MMD^2
    MMD^2 = mean k(s, s') + mean k(t, t') - 2 mean k(s, t),   k(x, y) = sum_u exp(-||x - y||^2 / (2 s_u^2))

s and t are what the last layer of the head sees of the source's and the target's examples of a batch; s_u^2 is 2^u
times the mean squared distance of all pairs of the batch, u = -3, ..., 1, taken as a number: no gradient goes through
it. The means are over all pairs, those of an example with itself too: this biased form is never below 0, and 0 for two
equal samples.

Long, Cao, Wang and Jordan, "Learning Transferable Features with Deep Adaptation Networks", ICML 2015, with equal
weights of the kernels as most implementations have them. Small batches make noisy estimates; take `train.batch_size` of
64 or more.

Limits: it draws all of one domain to all of the other, whatever the classes: with other shares of the classes in the
target it mixes them, and an inverted target is aligned to the wrong thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from graft.models.transfer import adapting

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models.history import History
    from graft.models.objectives import Term
    from graft.models.task import Task

REFITS = STEPS = False
ADAPTS = True
check = adapting.check

_KERNELS = (-3, -2, -1, 0, 1)


class Options(adapting.AdaptingOptions):
    """The weight of the distance, and how much of the backbone moves."""

    CANDIDATES: ClassVar[tuple[float, ...]] = (0.0, 0.3, 1.0, 3.0, 10.0)

    method: Literal["mk_mmd"] = "mk_mmd"
    weight: float | tuple[float, ...] | Literal["auto"] = Field(
        default=1.0,
        description="Weight of the squared distance; the source's mean loss weighs 1. A list, or `auto` for 0, 0.3, 1, "
        "3 and 10, is chosen from by reverse validation, on cached features.",
    )


def reads_inputs(options: Options) -> bool:
    """Where the backbone moves."""
    return bool(options.unfreeze)


def fit(task: Task) -> History:
    """Trains the head, and with `unfreeze` the backbone, on the source's labels and the distance of the domains.

    Raises:
        GraftError: see `adapting.fit`.
    """
    return adapting.fit(task, _alignment)


def _alignment(task: Task, weight: float) -> Term:
    return adapting.aligned(task, weight, squared_mmd)


def squared_mmd(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """The biased squared distance of two samples under the sum of the kernels.

    Args:
        source: float32 [n, d].
        target: float32 [m, d].
    """
    import tensorflow as tf

    both = tf.concat([source, target], axis=0)
    squares = tf.reduce_sum(both * both, axis=1)
    # Rounding may leave less than 0 between equal examples.
    distances = tf.nn.relu(squares[:, None] + squares[None, :] - 2.0 * tf.matmul(both, both, transpose_b=True))
    mean = tf.maximum(tf.stop_gradient(tf.reduce_mean(distances)), 1e-12)
    kernel = tf.add_n([tf.exp(-distances / (2.0 * 2.0**power * mean)) for power in _KERNELS])
    count = tf.shape(source)[0]
    within = tf.reduce_mean(kernel[:count, :count]) + tf.reduce_mean(kernel[count:, count:])
    return within - 2.0 * tf.reduce_mean(kernel[:count, count:])
