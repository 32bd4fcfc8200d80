"""The identity of a network: layers, settings, connections and weights, but no names."""

import keras
import numpy as np
import pytest

from graft.models.keras_identity import model_identity

L = keras.layers


def network(
    size: int = 3,
    activation: str | None = "relu",
    names: tuple[str | None, str | None] = (None, None),
    crossed: bool = False,
    weight: float = 1.0,
) -> keras.Model:
    """Two branches, one of them a network of its own, summed with weights of one value."""
    images = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, size, padding="same", name=names[0])])
    first = inner(images)
    second = L.Conv2D(4, 3, padding="same", activation=activation, name=names[1])(images)
    model = keras.Model(images, L.Subtract()([second, first] if crossed else [first, second]))
    model.set_weights([np.full(array.shape, weight, np.float32) for array in model.get_weights()])
    return model


def test_names_do_not_count():
    expected = model_identity(network())
    assert model_identity(network()) == expected  # Keras has numbered its layers on
    assert model_identity(network(names=("stem", "branch"))) == expected
    assert model_identity(network(names=("float32", "relu"))) == expected  # words that stand for something elsewhere


@pytest.mark.parametrize("change", [{"size": 1}, {"activation": None}, {"crossed": True}, {"weight": 2.0}])
def test_everything_else_counts(change):
    assert model_identity(network(**change)) != model_identity(network())
