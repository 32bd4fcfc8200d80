"""The head: from a feature vector to one logit a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import GraftError
from models.options import HeadOptions

if TYPE_CHECKING:
    import keras


def build_head(num_classes: int, feature_dim: int, options: HeadOptions, seed: int = 0) -> keras.Model:
    """Builds a freshly initialised head; equal arguments give bit-equal weights.

    Args:
        num_classes: number of logits, at least 2.
        feature_dim: length of the backbone's feature vector.
        options: hidden layers, dropout, L2.
        seed: of the initial weights and of the dropout masks.

    Returns:
        A model float32 [n, feature_dim] -> logits float32 [n, num_classes], in float32 under every dtype policy:
        softmax and loss lose too much in 16 bit.

    Raises:
        GraftError: with fewer than two classes there is nothing to tell apart.
    """
    import keras

    if num_classes < 2:
        raise GraftError(f"head: the data has {num_classes} class; a classifier needs at least 2")
    regularizer = keras.regularizers.L2(options.l2) if options.l2 else None
    layers: list[keras.Layer] = [keras.Input((feature_dim,), dtype="float32", name="feature_vector")]
    sizes = [*options.hidden, num_classes]
    for index, size in enumerate(sizes):
        last = index == len(sizes) - 1
        if options.dropout:
            layers.append(
                keras.layers.Dropout(
                    options.dropout, seed=_seed(seed, index, 1), dtype="float32", name=f"dropout_{index}"
                )
            )
        layers.append(
            keras.layers.Dense(
                size,
                activation=None if last else "relu",
                kernel_initializer=keras.initializers.GlorotUniform(seed=_seed(seed, index, 0)),
                kernel_regularizer=regularizer,
                dtype="float32",
                name="logits" if last else f"hidden_{index}",
            )
        )
    return keras.Sequential(layers, name="head")


def _seed(seed: int, layer: int, use: int) -> int:
    """A seed of its own for each layer and use: equal seeds would draw equal numbers."""
    return (seed * 1009 + layer * 2 + use) % 2**31
