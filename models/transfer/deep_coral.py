"""Deep CORAL: the covariances of both domains are drawn together where the head's last layer reads.

    minimise  L_source + weight / (4 d^2) * ||C_s - C_t||_F^2

C_s and C_t are the covariances (divided by n - 1) of d values that the last layer of the head sees of the source's and
the target's examples of a batch. The gradients of both terms reach everything below that layer. The means are not
aligned.

Sun and Saenko, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation", ECCV Workshops 2016; batches of 128, a
weight at which both terms are about equal at the end. By 4 d^2 the term is small: with d about 50, weights of 10 to
1000 do something. Small batches make noisy covariances; take `train.batch_size` of 64 or more.

Limits: as for `coral`: a target that is inverted, or noise in the place of a shift, is aligned to the wrong thing, and
a strong weight costs accuracy where the domains hardly differ.
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


class Options(adapting.AdaptingOptions):
    """The weight of the covariances, and how much of the backbone moves."""

    CANDIDATES: ClassVar[tuple[float, ...]] = (0.0, 1.0, 10.0, 100.0, 1000.0)

    method: Literal["deep_coral"] = "deep_coral"
    weight: float | tuple[float, ...] | Literal["auto"] = Field(
        default=100.0,
        description="Weight of the distance of the covariances; the source's mean loss weighs 1. A list, or `auto` for "
        "0, 1, 10, 100 and 1000, is chosen from by reverse validation, on cached features.",
    )


def reads_inputs(options: Options) -> bool:
    """Where the backbone moves."""
    return bool(options.unfreeze)


def fit(task: Task) -> History:
    """Trains the head, and with `unfreeze` the backbone, on the source's labels and both domains' covariances.

    Raises:
        GraftError: see `adapting.fit`.
    """
    return adapting.fit(task, _alignment)


def _alignment(task: Task, weight: float) -> Term:
    return adapting.aligned(task, weight, covariance_distance)


def covariance_distance(source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """||C_s - C_t||_F^2 / (4 d^2).

    Args:
        source: float32 [n, d]; the covariance of a single example is 0.
        target: float32 [m, d].
    """
    import tensorflow as tf

    width = tf.cast(tf.shape(source)[1], tf.float32)
    difference = _covariance(source) - _covariance(target)
    return tf.reduce_sum(difference * difference) / (4.0 * width * width)


def _covariance(batch: tf.Tensor) -> tf.Tensor:
    """float32 [d, d], divided by n - 1."""
    import tensorflow as tf

    centred = batch - tf.reduce_mean(batch, axis=0)
    return tf.matmul(centred, centred, transpose_a=True) / tf.maximum(
        tf.cast(tf.shape(batch)[0], tf.float32) - 1.0, 1.0
    )
