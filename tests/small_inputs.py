"""Inputs for tests, and a tiny backbone that takes strings."""

import pathlib

import numpy as np
import tensorflow as tf

from graft.models.inputs import image, text

BUCKETS, WIDTH = 997, 24


def pictures(size: tuple[int, int], value_range: tuple[float, float] = (0.0, 1.0), **options) -> image.Input:
    """Images of this size, (height, width), and what black and white become."""
    return image.Input(image.Options(image_size=size, value_range=value_range, **options))


def texts(**options) -> text.Input:
    """Texts."""
    return text.Input(text.Options(**options))


def publish_text_encoder(folder: pathlib.Path, seed: int = 0) -> None:
    """A SavedModel from strings [n] to float32 [n, 24]: the mean of the embeddings of a text's words, by their hash."""
    table = tf.Variable(
        np.random.default_rng(seed).normal(size=(BUCKETS, WIDTH)).astype(np.float32), name="words/embedding"
    )

    @tf.function(autograph=False)
    def call(texts, training=False):
        words = tf.strings.split(tf.strings.lower(texts))
        rows = tf.strings.to_hash_bucket_fast(words.flat_values, BUCKETS)
        total = tf.math.segment_sum(tf.gather(table, rows), words.value_rowids())
        total = tf.pad(total, [[0, tf.cast(words.nrows(), tf.int32) - tf.shape(total)[0]], [0, 0]])
        count = tf.cast(tf.maximum(words.row_lengths(), 1), tf.float32)
        return tf.ensure_shape(total / count[:, None], [None, WIDTH])

    for training in (False, True):
        call.get_concrete_function(tf.TensorSpec([None], tf.string, name="inputs"), training=training)
    published = tf.train.Checkpoint()
    published.__call__ = call
    published.variables = published.trainable_variables = [table]
    published.regularization_losses = []
    tf.saved_model.save(published, str(folder))
