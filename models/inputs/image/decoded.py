"""Images that somebody else decoded: float values, checked and scaled in the graph.

By the convention of TensorFlow Hub for image signatures (https://www.tensorflow.org/hub/common_signatures/images):
float32 [n, height, width, 3], RGB, 0 is black and 1 is white, whatever range the backbone learned from. A range that
people mix up with it, 0..255 or -1..1, leaves it and is refused.
"""

from typing import TYPE_CHECKING

from graft.models.inputs.values import Values

if TYPE_CHECKING:
    import tensorflow as tf

    from graft.models.inputs.image import Input

SLACK = 1e-3
"""How far a value may lie outside of 0..1: what rounding leaves, far less than the wrong range."""


class Pixels(Values):
    """Pixels of the size that the backbone takes.

    Args:
        images: the input; its value range, which may be yet to be chosen, is read where values become prepared ones or
            come from them.
    """

    name = "pixels"

    def __init__(self, images: "Input"):
        self._images = images

    @property
    def spec(self) -> "tf.TensorSpec":
        """float32 [None, height, width, 3]."""
        import tensorflow as tf

        return tf.TensorSpec([None, *self._images.image_size, 3], tf.float32, name=self.name)

    @property
    def told(self) -> str:
        """Shape and range."""
        height, width = self._images.image_size
        return f"float32 [n, {height}, {width}, 3], RGB values from 0 to 1"

    def prepare(self, values: "tf.Tensor", checked: bool = True) -> "tf.Tensor":
        """Values 0..1 as the values that stand for black and for white."""
        low, high = self._images.value_range
        return (self._checked(values) if checked else values) * (high - low) + low

    def from_prepared(self, prepared: "tf.Tensor") -> "tf.Tensor":
        """See `Values.from_prepared`; what rounding leaves outside of 0..1 is cut."""
        import tensorflow as tf

        low, high = self._images.value_range
        return tf.clip_by_value((prepared - low) / (high - low), 0.0, 1.0)

    def _checked(self, values: "tf.Tensor") -> "tf.Tensor":
        """The same values, if they are of the right shape, inside of 0..1 and finite."""
        import tensorflow as tf

        size = self._images.image_size
        # A session takes any shape, whatever the signature says, and Grappler would fold a check of what it says away.
        open_shape = tf.raw_ops.PlaceholderWithDefault(input=values, shape=tf.TensorShape(None))
        shape = tf.shape(open_shape)
        of_shape = tf.raw_ops.Assert(
            condition=(tf.size(shape) == 4) & tf.reduce_all(shape[1:] == [*size, 3]),
            data=[f"{self.name} must be {self.told}; the shape is", shape],
            summarize=8,
        )
        with tf.control_dependencies([of_shape]):
            same = tf.reshape(open_shape, [-1, *size, 3])
        within = (same >= -SLACK) & (same <= 1 + SLACK)  # NaN is neither
        flat = tf.reshape(same, [-1])
        of_range = tf.raw_ops.Assert(
            condition=tf.reduce_all(within),
            data=[
                f"{self.name} must be {self.told}; the least and the largest value are",
                tf.reduce_min(flat),
                tf.reduce_max(flat),
            ],
            summarize=8,
        )
        with tf.control_dependencies([of_range]):
            return tf.identity(same)
