"""Random changes of training images, a pure function of the image and a seed."""

import math

import tensorflow as tf

from graft.models.inputs.image.options import AugmentOptions


def augment(image: tf.Tensor, seed: tf.Tensor, options: AugmentOptions, value_range: tuple[float, float]) -> tf.Tensor:
    """Changes one preprocessed image at random; the same seed gives the same result.

    Args:
        image: float32 [h, w, 3] within value_range.
        seed: int32 or int64 [2].
        options: what may change, and how much.
        value_range: what pixel values 0 and 255 became.

    Returns:
        float32 [h, w, 3] within value_range.
    """
    low, high = value_range
    draws = tf.unstack(tf.random.stateless_uniform([8], seed), num=8)
    if options.flip:
        image = tf.where(draws[0] < 0.5, image, tf.reverse(image, [1]))
    if options.crop:
        image = _crop(image, draws[1] * options.crop, draws[2], draws[3])
    if options.rotate:
        image = _rotate(image, (2 * draws[4] - 1) * options.rotate * math.pi / 180, low)
    if options.color:
        image = _color((image - low) / (high - low), *((2 * d - 1) * options.color for d in draws[5:8]))
        image = low + image * (high - low)
    return tf.clip_by_value(image, min(low, high), max(low, high))


def _crop(image: tf.Tensor, cut: tf.Tensor, top: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
    """Cuts the share `cut` of each side away, at a place given by two numbers in [0, 1), and resizes back."""
    box = tf.stack([top * cut, left * cut, top * cut + 1 - cut, left * cut + 1 - cut])
    size = tf.shape(image)[:2]
    return tf.ensure_shape(tf.image.crop_and_resize(image[None], box[None], [0], size)[0], image.shape)


def _rotate(image: tf.Tensor, angle: tf.Tensor, fill: float) -> tf.Tensor:
    """Turns the image about its centre by radians; what comes in at the corners is `fill`."""
    height, width = (tf.cast(side, tf.float32) for side in tf.unstack(tf.shape(image)[:2], num=2))
    cos, sin = tf.cos(angle), tf.sin(angle)
    dx = (width - 1 - cos * (width - 1) + sin * (height - 1)) / 2
    dy = (height - 1 - sin * (width - 1) - cos * (height - 1)) / 2
    turned = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack([cos, -sin, dx, sin, cos, dy, 0.0, 0.0])[None],
        output_shape=tf.shape(image)[:2],
        fill_value=fill,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    return tf.ensure_shape(turned, image.shape)


def _color(image: tf.Tensor, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Moves brightness, contrast and saturation of an image in [0, 1] by relative amounts in (-1, 1)."""
    image = image + brightness
    mean = tf.reduce_mean(image, axis=[0, 1], keepdims=True)
    image = mean + (image - mean) * (1 + contrast)
    grey = tf.image.rgb_to_grayscale(image)
    return grey + (image - grey) * (1 + saturation)
