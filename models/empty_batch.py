"""A batch of no examples, which not every kernel answers rightly.

With oneDNN, which TensorFlow turns on by itself on newer CPUs (`TF_ENABLE_ONEDNN_OPTS`), `Conv2D` of TensorFlow 2.16
gives an empty batch the shape of its input, and the layer after it fails or reads beyond its memory. A network whose
convolutions are somebody else's cannot be mended, so it never sees an empty batch.
"""

from collections.abc import Callable

import tensorflow as tf


def never_empty(network: Callable[[tf.Tensor], tf.Tensor], examples: tf.Tensor) -> tf.Tensor:
    """Calls `network` with these examples; with one of zeros or "" where there are none, whose row is dropped.

    Args:
        network: from images `[n, ...]` to `[n, d]`, row by row.
        examples: `[n, ...]`; n may be 0.

    Returns:
        What `network` gives, `[n, d]`.
    """
    if examples.shape[0]:
        return network(examples)
    count = tf.shape(examples)[0]
    one = [1, *(tf.shape(examples)[axis] for axis in range(1, examples.shape.rank))]
    # A choice between two tensors, so that examples are not copied; the network stays outside of it, where Grappler
    # folds constants as ever.
    some = tf.cond(count > 0, lambda: examples, lambda: tf.zeros(one, examples.dtype))
    some.set_shape([None, *examples.shape[1:]])
    return network(some)[:count]
