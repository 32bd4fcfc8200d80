"""The TensorFlow Transform function of the `transform` stage: class names become indices.

Pixels are no business of Transform: decoding, resizing and scaling happen in the graph of the model (`models.images`),
which features, training and serving share.
"""

import tensorflow as tf
import tensorflow_transform as tft

LABEL_VOCABULARY = "label"


def preprocessing_fn(inputs: dict[str, tf.Tensor | tf.SparseTensor]) -> dict[str, tf.Tensor]:
    """Maps each label to its place in the vocabulary of the training split.

    Args:
        inputs: the features of the schema, of which `label` (string, [n, 1] or sparse) is used.

    Returns:
        `label`: int64 [n], -1 for a name that the training split does not have.
    """
    return {"label": tft.compute_and_apply_vocabulary(_single(inputs["label"]), vocab_filename=LABEL_VOCABULARY)}


def _single(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """The one value of each example, [n]."""
    if isinstance(values, tf.SparseTensor):
        shape = tf.stack([values.dense_shape[0], 1])
        values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape), default_value="")
    return tf.reshape(values, [-1])
