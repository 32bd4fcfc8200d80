"""Images that somebody else decoded: float values, checked and scaled in the graph.

By the convention of TensorFlow Hub for image signatures (https://www.tensorflow.org/hub/common_signatures/images):
float32 [n, height, width, 3], RGB, 0 is black and 1 is white, whatever range the backbone learned from. A range that
people mix up with it, 0..255 or -1..1, leaves it and is refused.
"""

import tensorflow as tf

SLACK = 1e-3
"""How far a value may lie outside of 0..1: what rounding leaves, far less than the wrong range."""


def told(image_size: tuple[int, int]) -> str:
    """What is allowed, for people."""
    height, width = image_size
    return f"float32 [n, {height}, {width}, 3], RGB values from 0 to 1"


def checked(values: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """The same values.

    Args:
        values: float32 `[n, height, width, 3]`; n may be 0.
        image_size: (height, width) in pixels.

    Raises:
        tf.errors.InvalidArgumentError: when run, if they are of another shape, outside of 0..1, or not finite.
    """
    # A session takes any shape, whatever the signature says, and Grappler would fold a check of what it says away.
    open_shape = tf.raw_ops.PlaceholderWithDefault(input=values, shape=tf.TensorShape(None))
    shape = tf.shape(open_shape)
    allowed = told(image_size)
    of_shape = tf.raw_ops.Assert(
        condition=(tf.size(shape) == 4) & tf.reduce_all(shape[1:] == [*image_size, 3]),
        data=[f"pixels must be {allowed}; the shape is", shape],
        summarize=8,
    )
    with tf.control_dependencies([of_shape]):
        same = tf.reshape(open_shape, [-1, *image_size, 3])
    within = (same >= -SLACK) & (same <= 1 + SLACK)  # NaN is neither
    flat = tf.reshape(same, [-1])
    of_range = tf.raw_ops.Assert(
        condition=tf.reduce_all(within),
        data=[
            f"pixels must be {allowed}; the least and the largest value are",
            tf.reduce_min(flat),
            tf.reduce_max(flat),
        ],
        summarize=8,
    )
    with tf.control_dependencies([of_range]):
        return tf.identity(same)


def scaled(values: tf.Tensor, value_range: tuple[float, float]) -> tf.Tensor:
    """Values 0..1 as the values that stand for black and for white."""
    low, high = value_range
    return values * (high - low) + low


def unscaled(prepared: tf.Tensor, value_range: tuple[float, float]) -> tf.Tensor:
    """The inverse of `scaled`; what rounding leaves outside of 0..1 is cut."""
    low, high = value_range
    return tf.clip_by_value((prepared - low) / (high - low), 0.0, 1.0)
