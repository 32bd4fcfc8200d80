"""The TensorFlow Transform function of the `transform` stage: class names become indices.

Inputs are no business of Transform: they are prepared in the graph of the model, which features, training and serving
share.
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
from graft.models.targets import make_target, parse_options

LABEL_VOCABULARY = "label"


def preprocessing_fn(
    inputs: dict[str, tf.Tensor | tf.SparseTensor], custom_config: dict[str, Any] | None = None
) -> dict[str, tf.Tensor]:
    """Maps each class to its place in the list of the training split's classes; numbers stay what they are.

    Args:
        inputs: the features of the schema, of which `label` ([n, m] or sparse) is used: texts or numbers.
        custom_config: `target`, the settings of `models.targets`; its `class_names`, where it has any, give the order
            of the classes, else it is `models.natural.natural_key`'s.

    Returns:
        `label`: for one label int64 [n], for several sparse int64 [n, m]; -1 for a name that the training split does
        not have. For numbers float32 [n, k].
    """
    options = parse_options((custom_config or {}).get("target", {}))
    target = make_target(options)
    if not target.has_vocabulary:
        return {"label": tf.ensure_shape(_dense(inputs[LABEL]), [None, len(target.columns)])}
    labels = _dense(inputs[LABEL])
    # Not tft.vocabulary: it can order by frequency only, so that a few more examples would renumber the classes.
    (vocabulary,) = tft.experimental.ptransform_analyzer(
        [tf.reshape(labels, [-1])],
        ClassList(options.class_names),  # type: ignore[attr-defined]
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[b"TEMPORARY_ASSET_VALUE"],
        name="classes",
    )
    if target.one_value:
        return {"label": tft.apply_vocabulary(labels[:, 0], vocabulary)}
    there = tf.where(labels != "")
    numbers = tft.apply_vocabulary(tf.gather_nd(labels, there), vocabulary)
    return {"label": tf.SparseTensor(there, numbers, tf.shape(labels, tf.int64))}


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


def _dense(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """[n, m], m at least 1; texts that are missing are empty, numbers 0."""
    if isinstance(values, tf.SparseTensor):
        shape = tf.stack([values.dense_shape[0], tf.maximum(values.dense_shape[1], 1)])
        return tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape))
    return values if values.shape.rank == 2 else values[:, None]
