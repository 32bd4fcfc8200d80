"""DELTA: fine-tuning whose features stay where the published network puts them, the useful ones most.

    minimise  L + weight * mean_x sum_c a_c * (f_c(x) - f0_c(x))^2

f is the feature vector of the backbone as it moves, f0 that of the published one for the same input, changed at random
as the other; c counts its channels. Where L2-SP draws weights, which may move far without any effect, this draws what
they compute.

    a_c = d * softmax_c(L(head without channel c) - L(head))

is the attention: how much the loss on the training examples rises when channel c is taken out (set to 0) of a linear
head that is solved on the published features. Its mean over the d channels is 1, so the weight means the same with and
without attention; a channel that nobody misses weighs exp(rise) less.

Li, Xiong, Wang, Rao, Liu and Huan, "DELTA: Deep Learning Transfer using Feature Map with Attention for Convolutional
Networks", ICLR 2019, with weight 0.01. They take the maps of several layers. Here it is the feature vector alone,
which every backbone has, also one that is a SavedModel and shows no layers; a channel of it is the mean of a channel of
the last map. They take out a filter where here the channel is taken out.

Where inputs come unchanged, f0 is known: the features of the cache, if they are few enough to be held. Else a second,
frozen network computes it in the step: its weights in memory, and a forward pass of time.

Weight 0 is `fine_tune` bit for bit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, cast

from pydantic import Field

from graft.models.transfer.moving import MovingOptions

if TYPE_CHECKING:
    import numpy as np

    from graft.models.history import Finding, History
    from graft.models.objectives import Seen
    from graft.models.phase import Outcome
    from graft.models.task import Split, Task

REFITS = False

PUBLISHED = "published"
"""The column of the published network's features, where they are known beforehand."""
HELD_BYTES = 512 * 2**20
"""Larger features are not held in memory."""
_SAMPLE = 1024
_CELLS = 2**24


class Options(MovingOptions):
    """How strongly the features are held, and how freely the backbone moves."""

    method: Literal["delta"] = "delta"
    weight: float = Field(
        default=0.01, ge=0.0, description="Of the squared distance of an example's features from the published ones."
    )
    attention: bool = Field(
        default=True,
        description="Hold a channel the more, the more the loss rises without it; false: all channels alike.",
    )


def reads_inputs(options: Options) -> bool:
    """It does."""
    return True


def fit(task: Task) -> History:
    """Fits the head, then backbone and head with the features held; both end with the best eval weights."""
    import numpy as np
    import tensorflow as tf

    from graft.models import loop, still
    from graft.models.objectives import Plain
    from graft.models.phase import Outcome
    from graft.models.transfer import moving

    options = cast(Options, task.options)
    # Of the published features and a head of its own: a run that was killed and continues finds the same.
    weights = attention(task) if options.attention else None
    importance = tf.constant(1.0 if weights is None else weights, tf.float32)
    train = task.train
    held = still.comes_unchanged(task) and train.features.dtype.itemsize * _cells(train) <= HELD_BYTES
    if held:
        published = {PUBLISHED: np.asarray(train.features[:])}
        task = dataclasses.replace(task, train=dataclasses.replace(train, more={**train.more, **published}))
    else:
        with task.strategy.scope():
            network = still.looking(still.published_copy(task.backbone))

    def distances(seen: Mapping[str, Seen]) -> Outcome:
        batch, features = seen["target"].batch, seen["target"].features
        before = batch[PUBLISHED] if held else network(batch["inputs"])
        apart = tf.reduce_sum(importance * tf.math.squared_difference(features, before), axis=1)
        return Outcome({"feature_distance": apart}, weights={"feature_distance": options.weight})

    history = loop.run(task, moving.phases(task, options, terms=[Plain(distances)]))
    if weights is not None:
        history.findings.append(_found(weights))
    return history


def attention(task: Task) -> np.ndarray:
    """a_c, float32 [d] with a mean of 1; see above. Looks at up to 1024 training examples, spread over all of them.

    Args:
        task: its features are of the published backbone.
    """
    import numpy as np
    import tensorflow as tf

    from graft.models.options import HeadOptions

    solved = task.target.solve(task.train.examples, task.eval.examples, HeadOptions(), lambda done, step: None).model
    count = len(task.train)
    rows = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
    features, targets = np.asarray(task.train.features[rows], np.float32), task.train.targets[rows]
    outputs = features @ solved.kernel + solved.bias
    units = outputs.shape[1]

    def loss(outputs: np.ndarray) -> np.ndarray:
        """Mean over the examples of outputs [m, n, units], for each m."""
        repeated = np.tile(targets, (len(outputs), *[1] * (targets.ndim - 1)))
        losses = task.target.losses(tf.constant(repeated), tf.constant(outputs.reshape(-1, units)), False)
        return np.asarray(losses, np.float64).reshape(len(outputs), -1).mean(axis=1)

    without = []
    step = max(1, _CELLS // outputs.size)
    for first in range(0, features.shape[1], step):
        part = slice(first, first + step)
        missing = features.T[part, :, None] * solved.kernel[part, None, :]
        without.append(loss((outputs - missing).astype(np.float32)))
    rise = np.concatenate(without) - loss(outputs[None])
    shares = np.exp(rise - rise.max())
    return (len(shares) * shares / shares.sum()).astype(np.float32)


def _cells(split: Split) -> int:
    return len(split) * split.features.shape[1]


def _found(weights: np.ndarray) -> Finding:
    from graft.models.history import Finding

    heavy = int((weights > 1).sum())
    return Finding(
        "channels held most",
        heavy,
        f"{heavy} of {len(weights)} channels weigh more than the mean, the first of them {weights.max():.2f} times as "
        f"much; the lightest weighs {weights.min():.2f}.",
    )
