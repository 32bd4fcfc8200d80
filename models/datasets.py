"""Reading the contents of the Examples that `ingest` wrote, prepared in batches."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from graft.models.errors import GraftError
from graft.models.examples import DIGEST, INPUT, read_examples, read_serialized
from graft.models.inputs.base import Contents, Input
from graft.models.inputs.preparing import preparer

# Contents that wait to be drawn in random order; more would not mix noticeably better.
_SHUFFLE_BYTES = 256 * 2**20

_HELD_BYTES = 64 * 2**20
"""Prepared examples of one split that stay in memory, so that they are decoded once and not in every epoch."""

_PREPARED_AT_ONCE = 32

_END = (None,)

_FEATURES = {INPUT: tf.io.FixedLenFeature([], tf.string)}
_WITH_DIGEST = {**_FEATURES, DIGEST: tf.io.FixedLenFeature([], tf.string)}


def find_shards(patterns: str | Sequence[str]) -> list[str]:
    """The TFRecord files that match one or several glob patterns, sorted.

    Raises:
        GraftError: nothing matches.
    """
    shards = sorted(tf.io.gfile.glob(patterns if isinstance(patterns, str) else list(patterns)))
    if not shards:
        raise GraftError(f"{patterns}: no TFRecord file matches")
    return shards


def read_contents(patterns: str | Sequence[str], limit: int, domain: str | None = None) -> list[bytes]:
    """The contents of the first `limit` Examples (of one domain, if it is named), in the order of the sorted shards."""
    rows = read_examples(find_shards(patterns), (INPUT,), domain)
    return [row[INPUT] for row in itertools.islice(rows, limit)]


class InputSplit:
    """One split's examples, read from TFRecord and prepared batch by batch.

    Few of them are prepared once and held; of more, memory holds some batches, whatever the split.

    Only the contents come from the files. What belongs to them, such as targets and weights, are columns that the
    features artifact has, in the order of the sorted shards.

    Attributes:
        count: number of examples used.
        spec: of a batch: `inputs` as the backbone takes them, and each column by its name.
    """

    def __init__(
        self,
        patterns: str | Sequence[str],
        input: Input,
        columns: Mapping[str, np.ndarray],
        batch_size: int,
        rows: np.ndarray | None = None,
        augment: bool = True,
        digests: np.ndarray | None = None,
    ):
        """Finds the shards and counts their Examples; prepares nothing.

        Args:
            patterns: glob patterns of the TFRecord files; their order does not matter.
            input: what the contents are.
            columns: arrays [count, ...] by name, a row for each Example that is used.
            batch_size: examples in a batch.
            rows: int [count], places of the Examples that are used, in rising order; None for all.
            augment: whether `shuffled` changes examples, where the input has it.
            digests: bytes [count], hex sha256 of each Example that is used as the features artifact has them; None: not
                compared.

        Raises:
            GraftError: nothing matches the patterns, or the Examples are others than those of the columns.
        """
        self._shards = find_shards(patterns)
        self._input, self._batch_size = input, batch_size
        self._augments = augment and input.augments
        self._prepare = preparer(input)
        self._columns = {name: tf.constant(column) for name, column in columns.items()}
        self.count, size = self._count(rows, digests)
        held = {name: len(column) for name, column in columns.items()} | (
            {} if digests is None else {"sha256": len(digests)}
        )
        if wrong := [f"{length} rows of {name}" for name, length in held.items() if length != self.count]:
            raise _others(self._shards[0], f"{self.count} Examples in all, but the features hold {', '.join(wrong)}")
        self.spec = {"inputs": input.spec} | {
            name: tf.TensorSpec([None, *column.shape[1:]], column.dtype) for name, column in self._columns.items()
        }
        shape = input.spec.shape[1:]
        if shape.is_fully_defined():
            each = size if input.spec.dtype == tf.string else self.count * math.prod(shape) * input.spec.dtype.size
            self._few = each <= _HELD_BYTES
        else:
            self._few = False
        # Not of the files: they also hold names, which differ between sources of the same contents.
        self._buffer = max(1, min(self.count, int(_SHUFFLE_BYTES * self.count / max(size, 1))))
        self._next_pass: Iterator[dict[str, tf.Tensor]] | None = None

    def ordered(self) -> Iterator[dict[str, tf.Tensor]]:
        """Batches by the names of `spec`, in the order of the sorted shards."""
        if self._few:
            for start in range(0, self.count, self._batch_size):
                rows = slice(start, start + self._batch_size)
                yield {"inputs": self._held[rows]} | {name: column[rows] for name, column in self._columns.items()}
            return
        # An iterator costs 0.4 s to make, more than a pass over few images: a pass that came to its end leaves its
        # iterator to the next one.
        batches, self._next_pass = self._next_pass or iter(self._in_order), None
        for _ in range(-(-self.count // self._batch_size)):
            yield next(batches)
        self._next_pass = batches

    def shuffled(self, first_epoch: int, last_epoch: int, seed: int) -> Iterator[Iterator[dict[str, tf.Tensor]]]:
        """One iterator of batches for each epoch in [first_epoch, last_epoch).

        Order and augmentation are a function of seed and epoch alone, so a run that continues at some epoch sees what
        an uninterrupted one would have seen.

        Yields:
            for each epoch, an iterator over batches by the names of `spec`.
        """

        steps = -(-self.count // self._batch_size)
        if self._few and not self._augments:
            drawn = self._drawn(first_epoch, last_epoch, seed)
            for _ in range(first_epoch, last_epoch):
                yield (self._gathered(places) for _, _, places in itertools.islice(drawn, steps))
            return
        batches = tf.data.Dataset.from_generator(
            lambda: self._drawn(first_epoch, last_epoch, seed),
            output_signature=(
                tf.TensorSpec([None], tf.string),
                tf.TensorSpec([None, 2], tf.int64),
                tf.TensorSpec([None], tf.int64),
            ),
        )
        held = self._held if self._few else None

        def changed(drawn: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
            record, own_seed, place = drawn
            example = self._prepared(record) if held is None else tf.gather(held, place)
            return self._input.augment(example, own_seed) if self._augments else example

        def prepared(records: tf.Tensor, seeds: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
            spec = tf.TensorSpec(self._input.spec.shape[1:], self._input.spec.dtype)
            return self._with_columns(tf.map_fn(changed, (records, seeds, places), fn_output_signature=spec), places)

        # Several batches are prepared at once, and none spans two epochs.
        dataset = batches.map(prepared, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        pending = iter(_deterministic(dataset.prefetch(2)))
        for _ in range(first_epoch, last_epoch):
            yield (next(pending) for _ in range(steps))

    def contents(self) -> Contents:
        """The contents of the examples used, in the order of the sorted shards."""
        return _Contents(self._shards, self._places, self.count)

    @functools.cached_property
    def _held(self) -> tf.Tensor:
        """All examples, prepared, in the order of the sorted shards."""
        with tf.device("CPU"):
            batches = _batched(iter(self.contents()), _PREPARED_AT_ONCE)
            parts = [self._prepare(tf.constant(contents)) for contents in batches]
            return tf.concat(parts, 0) if parts else self._prepare(tf.constant([], tf.string))

    def _gathered(self, places: Sequence[int]) -> dict[str, tf.Tensor]:
        with tf.device("CPU"):
            drawn = tf.constant(places, tf.int64)
            return self._with_columns(tf.gather(self._held, drawn), drawn)

    @functools.cached_property
    def _in_order(self) -> tf.data.Dataset:
        """Batches in the order of the sorted shards, without end; made when they are asked for: it takes 0.1 s."""
        records = tf.data.TFRecordDataset(self._shards).enumerate()
        if self._places is not None:
            places = tf.constant(self._places)
            records = records.map(lambda at, record: (places[at], record)).filter(lambda place, _: place >= 0)
        prepared = records.map(lambda place, record: (self._prepared(record), place), tf.data.AUTOTUNE)
        batches = prepared.batch(self._batch_size).map(self._with_columns)
        return _deterministic(batches.repeat().prefetch(2))

    def _count(self, rows: np.ndarray | None, digests: np.ndarray | None) -> tuple[int, int]:
        """Number of Examples used and the bytes of their contents; notes where each shard begins."""
        sizes, found = [np.zeros(0, np.int64)], [np.zeros(0, "S64")]
        self._starts = [0]
        for shard in self._shards:
            count = self._starts[-1]
            for records in _batched(read_serialized(shard), 256):
                parsed = tf.io.parse_example(records, _FEATURES if digests is None else _WITH_DIGEST)
                sizes.append(tf.strings.length(parsed[INPUT]).numpy().astype(np.int64))
                if digests is not None:
                    found.append(parsed[DIGEST].numpy().astype("S64"))
                count += len(sizes[-1])
            self._starts.append(count)
        size, digest = np.concatenate(sizes), np.concatenate(found)
        self._places: np.ndarray | None = None
        if rows is not None:
            if len(rows) and rows.max() >= len(size):
                raise _others(self._shards[0], f"{len(size)} Examples in all, but the features have a row {rows.max()}")
            self._places = np.full(len(size), -1, np.int64)
            self._places[rows] = np.arange(len(rows))
            size, digest = size[rows], digest[rows] if digests is not None else digest
        if digests is not None and len(digests) == len(digest) and not np.array_equal(digests, digest):
            raise _others(self._shards[0], "its Examples are not those that the features were made of")
        return len(size), int(size.sum())

    def _drawn(
        self, first_epoch: int, last_epoch: int, seed: int
    ) -> Iterator[tuple[list[bytes], np.ndarray, list[int]]]:
        """Batches of records in random order with a seed for each, and their places; NumPy draws, because tf.data's own
        shuffle also depends on the seed of the process. Records of prepared examples are empty."""
        for epoch in range(first_epoch, last_epoch):
            rng = np.random.default_rng([seed, epoch])
            order = rng.permutation(len(self._shards))
            places: Iterable[int] = itertools.chain(*(range(self._starts[i], self._starts[i + 1]) for i in order))
            if self._places is not None:
                places = (int(self._places[at]) for at in places)
            if self._few:
                source = ((b"", place) for place in places if place >= 0)
            else:
                records = itertools.chain.from_iterable(read_serialized(self._shards[i]) for i in order)
                source = ((record, place) for record, place in zip(records, places, strict=True) if place >= 0)
            waiting: list[tuple[bytes, int]] = []
            batch: list[tuple[bytes, int]] = []
            for found in itertools.chain(source, _END):
                if found is not None:
                    waiting.append(found)
                while waiting and (len(waiting) > self._buffer or found is None):
                    at = int(rng.integers(len(waiting)))
                    waiting[at], waiting[-1] = waiting[-1], waiting[at]
                    batch.append(waiting.pop())
                    if len(batch) == self._batch_size:
                        yield _drawn_batch(batch, rng)
                        batch = []
            if batch:
                yield _drawn_batch(batch, rng)

    def _prepared(self, record: tf.Tensor) -> tf.Tensor:
        return self._prepare(tf.io.parse_single_example(record, _FEATURES)[INPUT][None])[0]

    def _with_columns(self, inputs: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"inputs": inputs} | {name: tf.gather(column, places) for name, column in self._columns.items()}


def _batched(records: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while batch := list(itertools.islice(records, size)):
        yield batch


def _drawn_batch(batch: list[tuple[bytes, int]], rng: np.random.Generator) -> tuple[list[bytes], np.ndarray, list[int]]:
    return [record for record, _ in batch], rng.integers(0, 2**62, (len(batch), 2)), [place for _, place in batch]


def _others(shard: str, fault: str) -> GraftError:
    return GraftError(f"{shard}: {fault}; compute them again with --from features")


@dataclasses.dataclass(frozen=True)
class _Contents:
    """See `models.inputs.base.Contents`."""

    shards: list[str]
    places: np.ndarray | None
    count: int

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[bytes]:
        for at, found in enumerate(read_examples(self.shards, (INPUT,))):
            if self.places is None or self.places[at] >= 0:
                yield found[INPUT]


def _deterministic(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # They rewrite the graph of the dataset for 0.2 s, and find nothing that is not written out above.
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)
