"""Mixup: training on examples that lie between two examples.

    x = share x_i + (1 - share) x_j        loss = share L(y_i) + (1 - share) L(y_j)        share ~ Beta(alpha, alpha)

Each example i is mixed with another one j of its batch, with a share of its own; the loss is that of both targets,
which for cross entropy is the loss of the mixed target (Zhang et al., "mixup: Beyond Empirical Risk Minimization",
ICLR 2018). A batch comes in random order, so its neighbour is a random other.

Shares are a column of the stream, drawn from seed and epoch: a run that continues at some epoch sees what an
uninterrupted one would have seen. With several replicas each mixes its own part of a batch.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from graft.models.phase import Batch, Data
from graft.models.streams import size

SHARE = "share"
"""Column of a batch, float32 [n]: what of an example comes from itself."""

OTHER = "other_"
"""Before the name of a column: that of the example it was mixed with."""

_DRAW = 0x6D6978
"""Keeps the generator of shares apart from that of the order."""


class Shares:
    """Examples with a share to mix each of them by, where they are shuffled; in order they are as they were.

    Args:
        data: the examples.
        alpha: of the Beta distribution; greater than 0.
    """

    def __init__(self, data: Data, alpha: float):
        self._data, self._alpha = data, alpha
        self.count = data.count

    @property
    def spec(self) -> Mapping[str, tf.TensorSpec]:
        """Of a shuffled chunk."""
        return {**self._data.spec, SHARE: tf.TensorSpec([None], tf.float32)}

    def ordered(self) -> Iterator[Batch]:
        """Chunks with shares of 1."""
        for chunk in self._data.ordered():
            yield {**chunk, SHARE: np.ones(size(chunk), np.float32)}

    def shuffled(self, first_epoch: int, last_epoch: int, seed: int) -> Iterator[Iterator[Batch]]:
        """For each epoch in [first_epoch, last_epoch), its chunks with shares."""
        epochs = self._data.shuffled(first_epoch, last_epoch, seed)
        for epoch, chunks in zip(range(first_epoch, last_epoch), epochs, strict=True):
            yield self._with_shares(chunks, np.random.default_rng([seed, epoch, _DRAW]))

    def _with_shares(self, chunks: Iterator[Batch], rng: np.random.Generator) -> Iterator[Batch]:
        for chunk in chunks:
            yield {**chunk, SHARE: rng.beta(self._alpha, self._alpha, size(chunk)).astype(np.float32)}


def mixed(batch: Batch) -> Batch:
    """A batch whose inputs are mixed by its shares; as it was where it has none.

    Args:
        batch: `inputs` float [n, ...].

    Returns:
        The batch with mixed inputs, and with the other columns of the example that each was mixed with, `other_` before
        their names.
    """
    if SHARE not in batch:
        return batch
    others = {OTHER + name: tf.roll(column, 1, 0) for name, column in batch.items() if name not in ("inputs", SHARE)}
    inputs = batch["inputs"]
    share = tf.reshape(batch[SHARE], [-1] + [1] * (len(inputs.shape) - 1))
    return {**batch, **others, "inputs": share * inputs + (1.0 - share) * tf.roll(inputs, 1, 0)}
