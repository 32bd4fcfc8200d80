"""Streams side by side: for each chunk of the main one, as many examples of every other."""

from collections.abc import Iterator, Mapping

import tensorflow as tf

from graft.models.phase import Batch, Batches, Data

_OWN_ORDER = 2**32
"""Between the seeds of two streams; those of a training's phases are next to each other."""


def size(batch: Batch) -> int:
    """How many examples a batch or chunk holds."""
    return len(next(iter(batch.values())))


def shuffled(streams: Mapping[str, Data], first_epoch: int, last_epoch: int, seed: int) -> Iterator[Iterator[Batches]]:
    """For each epoch in [first_epoch, last_epoch), chunks of all streams.

    What an epoch gives is a function of seed and epoch alone, so a run that continues at some epoch sees what an
    uninterrupted one would have seen.

    Args:
        streams: by name; the first is the main one.
        first_epoch: the epoch to begin with.
        last_epoch: the one not to be reached.
        seed: of all orders; each stream has its own.
    """
    (main, data), *others = streams.items()
    rounds = {
        name: _Rounds(
            other,
            other.shuffled(
                first_epoch * data.count // other.count,
                -(-last_epoch * data.count // other.count),
                seed + place * _OWN_ORDER,
            ),
            first_epoch * data.count % other.count,
        )
        for place, (name, other) in enumerate(others, start=1)
    }
    for chunks in data.shuffled(first_epoch, last_epoch, seed):
        yield _beside(main, chunks, rounds)


def ordered(streams: Mapping[str, Data]) -> Iterator[Batches]:
    """Chunks of all streams, once over the main one, each in its own order."""
    (main, data), *others = streams.items()
    return _beside(main, data.ordered(), {name: _Rounds(other, _again(other)) for name, other in others})


def _again(data: Data) -> Iterator[Iterator[Batch]]:
    while True:
        yield data.ordered()


def _beside(main: str, chunks: Iterator[Batch], rounds: Mapping[str, "_Rounds"]) -> Iterator[Batches]:
    for chunk in chunks:
        yield {main: chunk, **{name: others.take(size(chunk)) for name, others in rounds.items()}}


class _Rounds:
    """A stream read round after round, any number of examples at a time.

    Args:
        data: the stream.
        rounds: its chunks, round by round.
        skipped: examples of the first round that were used before.
    """

    def __init__(self, data: Data, rounds: Iterator[Iterator[Batch]], skipped: int = 0):
        self._spec = data.spec
        self._chunks = (chunk for chunks in rounds for chunk in chunks)
        self._left: Batch | None = None
        while skipped:
            skipped -= size(self._next(skipped))

    def take(self, count: int) -> Batch:
        """The next `count` examples."""
        parts = []
        while count:
            parts.append(self._next(count))
            count -= size(parts[-1])
        if len(parts) == 1:
            return parts[0]
        return {name: tf.concat([part[name] for part in parts], 0) for name in self._spec}

    def _next(self, most: int) -> Batch:
        """Up to `most` examples of the chunk that is open."""
        chunk = next(self._chunks) if self._left is None else self._left
        there = size(chunk)
        self._left = {name: column[most:] for name, column in chunk.items()} if there > most else None
        return {name: column[:most] for name, column in chunk.items()} if there > most else chunk
