"""Reading the Examples that `ingest` wrote: class names, labels, images in batches."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from graft.models.errors import GraftError
from graft.models.examples import FILE, INPUT, LABEL
from graft.models.inputs.image.augment import augment as augment_image
from graft.models.inputs.image.decoding import preprocess
from graft.models.options import AugmentOptions

# Encoded images that wait to be drawn in random order; more would not mix noticeably better.
_SHUFFLE_BYTES = 256 * 2**20

_END = (None,)

_FEATURES = {
    INPUT: tf.io.FixedLenFeature([], tf.string),
    LABEL: tf.io.FixedLenFeature([], tf.string),
    FILE: tf.io.FixedLenFeature([], tf.string, default_value=""),
}


def read_classes(transform_graph_path: str | Path) -> list[str]:
    """The class names, in the order of their indices, from the label vocabulary of a Transform output.

    Args:
        transform_graph_path: folder that Transform wrote, holding `transform_fn/`.

    Raises:
        GraftError: no vocabulary is there, a name is there twice, or there are fewer than two classes.
    """
    path = Path(transform_graph_path) / "transform_fn" / "assets" / "label"
    if not path.is_file():
        raise GraftError(f"{path}: no label vocabulary; the Transform stage writes one with vocab_filename='label'")
    classes = [line.decode() for line in path.read_bytes().splitlines()]
    if len(set(classes)) != len(classes):
        raise GraftError(f"{path}: a class name is listed twice: {classes}")
    if len(classes) < 2:
        raise GraftError(f"{path}: found {len(classes)} class ({', '.join(classes)}); a classifier needs at least 2")
    return classes


def find_shards(patterns: str | Sequence[str]) -> list[str]:
    """The TFRecord files that match one or several glob patterns, sorted.

    Raises:
        GraftError: nothing matches.
    """
    shards = sorted(tf.io.gfile.glob(patterns if isinstance(patterns, str) else list(patterns)))
    if not shards:
        raise GraftError(f"{patterns}: no TFRecord file matches")
    return shards


def read_encoded(patterns: str | Sequence[str], limit: int | None = None) -> list[bytes]:
    """The encoded images of the first `limit` Examples, in the order of the sorted shards."""
    dataset = tf.data.TFRecordDataset(find_shards(patterns))
    if limit is not None:
        dataset = dataset.take(limit)
    return [tf.io.parse_single_example(record, _FEATURES)[INPUT].numpy() for record in dataset]


def class_index(classes: Sequence[str]) -> "tf.lookup.StaticHashTable":
    """A table from class name to index; -1 for a name that is not a class."""
    keys = tf.constant([name.encode() for name in classes])
    values = tf.range(len(classes), dtype=tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)


class ImageSplit:
    """One split's images, read from TFRecord and preprocessed batch by batch; memory does not grow with the split.

    Attributes:
        count: number of Examples.
        inputs: spec of a batch of images, float32 [None, h, w, 3].
    """

    def __init__(
        self,
        patterns: str | Sequence[str],
        classes: Sequence[str],
        image_size: tuple[int, int],
        value_range: tuple[float, float],
        batch_size: int,
    ):
        """Finds the shards and counts their Examples; decodes nothing.

        Raises:
            GraftError: nothing matches the patterns, or the label of an Example is not a class.
        """
        self._shards = find_shards(patterns)
        self.inputs = tf.TensorSpec([None, *image_size, 3], tf.float32)
        self._value_range, self._batch_size = value_range, batch_size
        self._decode = decoder(tuple(image_size), tuple(value_range))
        self._table = class_index(classes)
        self.count = size = 0
        for record in tf.data.TFRecordDataset(self._shards).batch(256):
            example = tf.io.parse_example(record, _FEATURES)
            unknown = tf.where(self._table.lookup(example[LABEL]) < 0)
            if len(unknown):
                at = int(unknown[0, 0])
                label, file = (example[key][at].numpy().decode("utf-8", "replace") for key in (LABEL, FILE))
                raise GraftError(f"{file}: label {label!r} is not one of the classes {', '.join(classes)}")
            self.count += int(record.shape[0])
            # Not of the files: they also hold names, which differ between sources of the same images.
            size += int(tf.reduce_sum(tf.strings.length(example[INPUT])))
        self._buffer = max(1, min(self.count, int(_SHUFFLE_BYTES * self.count / max(size, 1))))
        decoded = tf.data.TFRecordDataset(self._shards).map(self._example, tf.data.AUTOTUNE)
        self._in_order = _deterministic(decoded.batch(batch_size).repeat().prefetch(2))
        self._next_pass: Iterator[tuple[tf.Tensor, tf.Tensor]] | None = None

    def ordered(self) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Batches in the order of the files: images float32 [n, h, w, 3], labels int64 [n]."""
        # An iterator costs 0.4 s to make, more than a pass over few images: a pass that came to its end leaves its
        # iterator to the next one.
        batches, self._next_pass = self._next_pass or iter(self._in_order), None
        for _ in range(-(-self.count // self._batch_size)):
            yield next(batches)
        self._next_pass = batches

    def shuffled(
        self, first_epoch: int, last_epoch: int, seed: int, augment: AugmentOptions
    ) -> Iterator[Iterator[tuple[tf.Tensor, tf.Tensor]]]:
        """One iterator of batches for each epoch in [first_epoch, last_epoch).

        Order and augmentation are a function of seed and epoch alone, so a run that continues at some epoch sees what
        an uninterrupted one would have seen.

        Yields:
            for each epoch, an iterator over images float32 [n, h, w, 3] and labels int64 [n].
        """

        batches = tf.data.Dataset.from_generator(
            lambda: self._drawn(first_epoch, last_epoch, seed),
            output_signature=(tf.TensorSpec([None], tf.string), tf.TensorSpec([None, 2], tf.int64)),
        )

        def changed(record: tf.Tensor, image_seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            image, label = self._example(record)
            if augment.enabled:
                image = augment_image(image, image_seed, augment, self._value_range)  # type: ignore[arg-type]
            return image, label

        def decoded(records: tf.Tensor, image_seeds: tf.Tensor) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensor_slices((records, image_seeds)).map(changed).batch(self._batch_size)

        # Each inner dataset is one batch: several batches are decoded at once, and none spans two epochs.
        dataset = batches.interleave(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        pending = iter(_deterministic(dataset.prefetch(2)))
        steps = -(-self.count // self._batch_size)
        for _ in range(first_epoch, last_epoch):
            yield (next(pending) for _ in range(steps))

    def _drawn(self, first_epoch: int, last_epoch: int, seed: int) -> Iterator[tuple[list[bytes], np.ndarray]]:
        """Batches of records in random order with a seed for each; NumPy draws, because tf.data's own shuffle also
        depends on the seed of the process."""
        for epoch in range(first_epoch, last_epoch):
            rng = np.random.default_rng([seed, epoch])
            shards = [self._shards[i] for i in rng.permutation(len(self._shards))]
            waiting: list[bytes] = []
            batch: list[bytes] = []
            for record in itertools.chain(tf.data.TFRecordDataset(shards).prefetch(64).as_numpy_iterator(), _END):
                if record is not None:
                    waiting.append(record)
                while waiting and (len(waiting) > self._buffer or record is None):
                    at = int(rng.integers(len(waiting)))
                    waiting[at], waiting[-1] = waiting[-1], waiting[at]
                    batch.append(waiting.pop())
                    if len(batch) == self._batch_size:
                        yield batch, rng.integers(0, 2**62, (len(batch), 2))
                        batch = []
            if batch:
                yield batch, rng.integers(0, 2**62, (len(batch), 2))

    def _example(self, record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(record, _FEATURES)
        return self._decode(example[INPUT]), self._table.lookup(example[LABEL])


@functools.cache
def decoder(image_size: tuple[int, int], value_range: tuple[float, float]) -> Callable[[tf.Tensor], tf.Tensor]:
    """`preprocess` for a single image, traced once a process: tracing it takes longer than decoding many images.

    Returns:
        a function from a scalar string to float32 [h, w, 3].
    """

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def decode(encoded: tf.Tensor) -> tf.Tensor:
        return preprocess(encoded[None], image_size, value_range)[0]

    return decode.get_concrete_function()


def _deterministic(dataset: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    return dataset.with_options(options)


class ArraySplit:
    """Feature vectors and labels in arrays (memory-mapped ones too), in large chunks.

    The training step cuts a chunk into batches inside the graph: a Python call a batch would cost more than the head.

    Attributes:
        count: number of rows.
        inputs: spec of a chunk, float32 [None, d].
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, batch_size: int):
        """Wraps features float32 [n, d] and labels int64 [n]."""
        self._features, self._labels = features, labels
        self.count = len(labels)
        self.inputs = tf.TensorSpec([None, features.shape[1]], tf.float32)
        rows = 64 * 2**20 // max(1, features.dtype.itemsize * features.shape[1])
        self._rows = max(1, rows // batch_size) * batch_size

    def ordered(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Chunks in the order of the arrays."""
        for start in range(0, self.count, self._rows):
            chunk = slice(start, start + self._rows)
            yield self._features[chunk], self._labels[chunk]

    def shuffled(
        self, first_epoch: int, last_epoch: int, seed: int, augment: AugmentOptions
    ) -> Iterator[Iterator[tuple[np.ndarray, np.ndarray]]]:
        """For each epoch in [first_epoch, last_epoch), chunks in an order that seed and epoch alone decide.

        `augment` is there for the sake of one interface: vectors cannot be augmented, and
        `models.transfer.check_options` refuses it for methods that train on nothing else.
        """
        for epoch in range(first_epoch, last_epoch):
            order = np.random.default_rng([seed, epoch]).permutation(self.count)
            pieces = (order[start : start + self._rows] for start in range(0, self.count, self._rows))
            yield ((self._features[piece], self._labels[piece]) for piece in pieces)


def check_labels(labels: np.ndarray, num_classes: int, where: str) -> None:
    """Checks that labels are class indices, the form the loss expects.

    Raises:
        GraftError: not one integer an example (one-hot rows, scores, names), or an index outside [0, num_classes).
    """
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise GraftError(
            f"{where}: labels must be one class index an example, integers [n]; received {labels.dtype} "
            f"{list(labels.shape)}" + (" (one-hot? take argmax)" if labels.ndim == 2 else "")
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        raise GraftError(
            f"{where}: labels run from {labels.min()} to {labels.max()}, but there are {num_classes} classes "
            f"(allowed: 0 to {num_classes - 1})"
        )
