"""The TensorFlow Transform function of the `transform` stage: class names become indices.

Pixels are no business of Transform: decoding, resizing and scaling happen in the graph of the model, which
features, training and serving share.
"""

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.beam.experimental import PTransformAnalyzer

from graft.models.examples import LABEL
from graft.models.natural import natural_key

LABEL_VOCABULARY = "label"


def preprocessing_fn(
    inputs: dict[str, tf.Tensor | tf.SparseTensor], custom_config: dict[str, Any] | None = None
) -> dict[str, tf.Tensor]:
    """Maps each label to its place in the list of the training split's classes.

    Args:
        inputs: the features of the schema, of which `label` (string, [n, 1] or sparse) is used.
        custom_config: `class_names`, a list that gives the order; without one it is `models.natural.natural_key`'s.

    Returns:
        `label`: int64 [n], -1 for a name that the training split does not have.
    """
    labels = _single(inputs[LABEL])
    # Not tft.vocabulary: it can order by frequency only, so that a few more images would renumber the classes.
    (vocabulary,) = tft.experimental.ptransform_analyzer(
        [labels],
        ClassList((custom_config or {}).get("class_names")),
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[b"TEMPORARY_ASSET_VALUE"],
        name="classes",
    )
    return {"label": tft.apply_vocabulary(labels, vocabulary)}


class ClassList(PTransformAnalyzer):
    """Batches of labels (a tuple of one string array [n]) -> the path of a file with each class once, a line each."""

    def __init__(self, order: Sequence[str] | None = None):
        """Takes the names in the order they are to have, None for the natural one."""
        super().__init__()
        self._order = order

    def expand(self, batches: beam.PCollection) -> tuple[beam.PCollection]:
        return (
            batches
            | "Distinct" >> beam.Map(lambda batch: frozenset(batch[0].tolist()))
            | "Together" >> beam.CombineGlobally(lambda sets: frozenset().union(*sets))
            | "Write" >> beam.Map(write_classes, self.base_temp_dir, self._order),
        )


def write_classes(names: frozenset[bytes], folder: str, order: Sequence[str] | None) -> np.ndarray:
    """Writes the class names, UTF-8, in order, and returns the file's path as a scalar array."""
    places = {name: place for place, name in enumerate(order or ())}
    found = sorted((name.decode() for name in names if name), key=lambda name: (places.get(name, 0), natural_key(name)))
    tf.io.gfile.makedirs(folder)
    path = f"{folder}/{LABEL_VOCABULARY}"
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("".join(f"{name}\n" for name in found))
    return np.array(path)


def _single(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """The one value of each example, [n]."""
    if isinstance(values, tf.SparseTensor):
        shape = tf.stack([values.dense_shape[0], 1])
        values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape), default_value="")
    return tf.reshape(values, [-1])
