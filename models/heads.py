"""The head: from a feature vector to the outputs that the target takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graft.models.options import HeadOptions

if TYPE_CHECKING:
    import keras
    import numpy as np


def build_head(units: int, feature_dim: int, options: HeadOptions, seed: int = 0) -> keras.Model:
    """Builds a freshly initialised head; equal arguments give bit-equal weights.

    Args:
        units: number of outputs.
        feature_dim: length of the backbone's feature vector.
        options: hidden layers, dropout, L2; a linear head that is to be solved has neither dropout nor, until its L2 is
            chosen, a penalty.
        seed: of the initial weights and of the dropout masks.

    Returns:
        A model float32 [n, feature_dim] -> outputs float32 [n, units], in float32 under every dtype policy: softmax
        and loss lose too much in 16 bit.
    """
    import keras

    regularizer = keras.regularizers.L2(options.penalty) if options.penalty else None
    layers: list[keras.Layer] = [keras.Input((feature_dim,), dtype="float32", name="feature_vector")]
    sizes = [*options.hidden, units]
    for index, size in enumerate(sizes):
        last = index == len(sizes) - 1
        if options.dropout_rate:
            layers.append(
                keras.layers.Dropout(
                    options.dropout_rate, seed=_seed(seed, index, 1), dtype="float32", name=f"dropout_{index}"
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


def set_linear(head: keras.Model, kernel: np.ndarray, bias: np.ndarray, l2: float) -> None:
    """Gives a linear head its weights, and the penalty that it keeps if it is trained on.

    Args:
        head: made by `build_head` without hidden layers.
        kernel: float32 [feature_dim, units].
        bias: float32 [units].
        l2: weight of the kernel's squared norm.
    """
    head.layers[-1].kernel.assign(kernel)
    head.layers[-1].bias.assign(bias)
    set_penalty(head, l2)


def set_penalty(head: keras.Model, l2: float) -> None:
    """Sets the weight of the squared norm of each kernel of a head."""
    import keras

    regularizer = keras.regularizers.L2(l2) if l2 else None
    for layer in head.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel_regularizer = layer.kernel.regularizer = regularizer


def _seed(seed: int, layer: int, use: int) -> int:
    """A seed of its own for each layer and use: equal seeds would draw equal numbers."""
    return (seed * 1009 + layer * 2 + use) % 2**31
