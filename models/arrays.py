"""Examples in arrays, memory-mapped ones too: parts of them, several as one, and their batches."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

Chunk = dict[str, np.ndarray]


class Picked:
    """Some rows of an array, read when they are asked for.

    Args:
        array: [n, ...], memory-mapped or not.
        rows: int [m], places in it.
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray):
        self._array, self._rows = array, rows
        self.shape = (len(rows), *array.shape[1:])
        self.ndim, self.dtype = array.ndim, array.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Of a slice or of a list of rows."""
        return self._array[self._rows[rows]]


class Joined:
    """Two arrays read as one, row by row.

    Args:
        first: [n, ...], an array or `Picked`.
        second: [m, ...].
    """

    def __init__(self, first: Any, second: Any):
        self._parts = (first, second)
        self._border = len(first)
        self.shape = (len(first) + len(second), *first.shape[1:])

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Of a slice or of a sorted list of rows."""
        places = np.arange(self.shape[0])[rows]
        first = places[places < self._border]
        second = places[places >= self._border] - self._border
        return np.concatenate([self._parts[0][first], self._parts[1][second]])


class ArraySplit:
    """Feature vectors with columns beside them, in large chunks (a `models.phase.Data`).

    The training step cuts a chunk into batches inside the graph: a Python call a batch would cost more than the head.

    Args:
        features: float32 [n, d], an array or `Picked`.
        columns: by name, [n, ...]: `targets`, `weights`.
        batch_size: examples in a batch; a chunk holds whole ones.

    Attributes:
        count: number of rows.
        spec: of a chunk, by name: `inputs` and the columns.
    """

    def __init__(self, features: Any, columns: Mapping[str, np.ndarray], batch_size: int):
        self._columns: dict[str, Any] = {"inputs": features, **columns}
        self.count = len(features)
        self.spec = {
            name: tf.TensorSpec([None, *column.shape[1:]], column.dtype) for name, column in self._columns.items()
        }
        rows = 64 * 2**20 // max(1, features.dtype.itemsize * features.shape[1])
        self._rows = max(1, rows // batch_size) * batch_size

    def ordered(self) -> Iterator[Chunk]:
        """Chunks in the order of the arrays."""
        for start in range(0, self.count, self._rows):
            yield self._cut(slice(start, start + self._rows))

    def shuffled(self, first_epoch: int, last_epoch: int, seed: int) -> Iterator[Iterator[Chunk]]:
        """For each epoch in [first_epoch, last_epoch), chunks in an order that seed and epoch alone decide."""
        for epoch in range(first_epoch, last_epoch):
            order = np.random.default_rng([seed, epoch]).permutation(self.count)
            yield (self._cut(order[start : start + self._rows]) for start in range(0, self.count, self._rows))

    def _cut(self, rows: Any) -> Chunk:
        return {name: column[rows] for name, column in self._columns.items()}
