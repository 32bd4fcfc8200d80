"""Relational knowledge distillation: how examples of a batch lie to each other, in two spaces of features.

Park, Kim, Lu and Cho, "Relational Knowledge Distillation", CVPR 2019, equations 5 to 8. Both measures stay when one
space is moved, turned or scaled, and the two spaces may have different widths. Of n examples there are n^2 distances
and n^3 angles, 4 n^3 bytes a space: 134 MB for a batch of 256, where both spaces and their gradient are held.
"""

import tensorflow as tf

_SMALL = 1e-12


def distances(features: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """The mean Huber loss between the distances of all pairs, each in units of the mean distance of its space.

    Args:
        features: float32 [n, d], of the student.
        others: float32 [n, e], of the teacher.

    Returns:
        a scalar; 0 where there are no pairs.
    """
    return _huber(_relative(_squares(features)[0]), _relative(_squares(others)[0]))


def angles(features: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """The mean Huber loss between the cosines at j of all triples (i, j, k). Arguments as of `distances`."""
    return _huber(_cosines(features), _cosines(others))


def _squares(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Squared distances [n, n], and the products of the centred features [n, n]."""
    centred = features - tf.reduce_mean(features, axis=0)
    products = tf.matmul(centred, centred, transpose_b=True)
    norms = tf.linalg.diag_part(products)
    apart = norms[:, None] + norms[None, :] - 2 * products
    return tf.linalg.set_diag(tf.maximum(apart, 0.0), tf.zeros_like(norms)), products


def _root(squares: tf.Tensor) -> tf.Tensor:
    """Square roots whose gradient is 0 at 0, where that of the root is infinite."""
    positive = squares > _SMALL
    return tf.where(positive, tf.sqrt(tf.where(positive, squares, 1.0)), 0.0)


def _relative(squares: tf.Tensor) -> tf.Tensor:
    """Distances in units of the mean of those that are not 0."""
    apart = _root(squares)
    count = tf.reduce_sum(tf.cast(apart > 0, tf.float32))
    return tf.math.divide_no_nan(apart, tf.math.divide_no_nan(tf.reduce_sum(apart), count))


def _cosines(features: tf.Tensor) -> tf.Tensor:
    """[n, n, n]: at [i, j, k] the cosine of the angle at j between i and k; 0 where two of them are one."""
    squares, products = _squares(features)
    norms = tf.linalg.diag_part(products)
    # (f_i - f_j) (f_k - f_j), from products of pairs alone: the differences would take n^2 d numbers.
    inner = products[:, None, :] - products[:, :, None] - products[None, :, :] + norms[None, :, None]
    apart = _root(squares)
    return tf.math.divide_no_nan(inner, apart[:, :, None] * apart[None, :, :])


def _huber(ours: tf.Tensor, theirs: tf.Tensor) -> tf.Tensor:
    error = tf.abs(ours - theirs)
    loss = tf.where(error < 1.0, 0.5 * error**2, error - 0.5)
    return tf.math.divide_no_nan(tf.reduce_sum(loss), tf.cast(tf.size(loss), tf.float32))
