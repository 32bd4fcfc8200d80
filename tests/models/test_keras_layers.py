"""The order of layers in nested networks, and which of them may train."""

import keras
import pytest

from graft.models.keras_layers import kept_frozen, layer_names, layers_in_order, learning_layers, open_places

L = keras.layers


def open_top(network, kept, count: int) -> None:
    """Opens the last layers that learn."""
    learning = len(learning_layers(network, kept))
    open_places(network, kept, range(learning - count, learning))


def names(layers) -> list[str]:
    """Names of the layers that were named here, not by Keras."""
    return [layer.name for layer in layers if layer.name.islower() and layer.name.isalpha() and len(layer.name) == 1]


def part(first: str, second: str, functional: bool) -> keras.Model:
    """Two convolutions with a normalisation between them."""
    convolutions = [L.Conv2D(3, 3, padding="same", name=name) for name in (first, second)]
    layers = [convolutions[0], L.BatchNormalization(name=f"norm-{first}"), convolutions[1]]
    if not functional:
        return keras.Sequential([keras.Input((8, 8, 3)), *layers])
    images = keras.Input((8, 8, 3))
    hidden = images
    for layer in layers:
        hidden = layer(hidden)
    return keras.Model(images, hidden)


def nested(functional: bool) -> keras.Model:
    """a, b in a part; c, d in a part of a part; e; all in sequence."""
    inner = keras.Sequential([keras.Input((8, 8, 3)), part("c", "d", functional)])
    layers = [L.Rescaling(1 / 255), part("a", "b", functional), inner, L.Conv2D(3, 3, name="e")]
    if not functional:
        return keras.Sequential([keras.Input((8, 8, 3)), *layers])
    images = keras.Input((8, 8, 3))
    hidden = images
    for layer in layers:
        hidden = layer(hidden)
    return keras.Model(images, hidden)


@pytest.mark.parametrize("functional", [False, True])
def test_from_input_to_output_through_nested_networks(functional):
    assert names(layers_in_order(nested(functional))) == list("abcde")


def test_a_graph_goes_by_the_longest_way_to_the_output():
    images = keras.Input((8, 8, 3))
    short = L.Conv2D(3, 1, name="c")  # made first, used beside b
    first, second, last = (L.Conv2D(3, 1, name=name) for name in "abd")
    hidden = first(images)
    network = keras.Model(images, last(L.Add()([second(hidden), short(hidden)])))
    order = names(layers_in_order(network))
    assert order[0] == "a" and order[-1] == "d" and sorted(order[1:3]) == ["b", "c"]


def test_a_shared_layer_stands_at_its_first_use():
    shared, between = L.Conv2D(3, 1, name="a"), L.Conv2D(3, 1, name="b")
    images = keras.Input((8, 8, 3))
    network = keras.Model(images, shared(between(shared(images))))
    assert names(layers_in_order(network)) == ["a", "b"]
    open_top(network, (), 1)
    assert between.trainable and not shared.trainable


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 7])
def test_the_last_ones_open(functional, count):
    network = nested(functional)
    for start in (7, 0, 4):  # whatever was open before
        open_top(network, (), start)
        open_top(network, (), count)
        order = ["a", "norm-a", "b", "c", "norm-c", "d", "e"]
        learning = learning_layers(network, ())
        assert [layer.name for layer in learning] == order
        assert [layer.name for layer in learning if layer.trainable] == order[7 - count :]
        # What Keras gives to an optimizer: containers are open too.
        expected = {id(v) for layer in learning[7 - count :] for v in layer._trainable_variables}
        assert {id(variable) for variable in network.trainable_variables} == expected


def test_names_go_through_what_holds_a_layer():
    network = nested(False)
    named = dict(zip([layer.name for layer in layers_in_order(network)], layer_names(network), strict=True))
    assert named["e"] == "e" and named[network.name] == ""
    outer, inner = network.layers[2], network.layers[2].layers[0]
    assert named["norm-c"] == f"{outer.name}/{inner.name}/norm-c"


def test_any_places_open():
    network = nested(False)
    open_places(network, (), [0, 3])
    assert names(layer for layer in layers_in_order(network) if layer.trainable) == ["a", "c"]
    assert not network.layers[1].layers[1].trainable, "the normalisation between stays in inference"


def test_frozen_layers_and_containers_are_found_and_kept():
    network = nested(False)
    network.layers[-1].trainable = False
    container = network.layers[1]
    container.trainable = False
    container.layers[0].trainable = True  # without effect: what holds it is frozen
    kept = kept_frozen(network)
    assert [layer.name for layer in learning_layers(network, kept)] == ["c", "norm-c", "d"]
    open_top(network, kept, 3)
    opened = [layer.name for layer in layers_in_order(network) if layer._trainable_variables and layer.trainable]
    assert opened == ["c", "norm-c", "d"] and len(network.trainable_variables) == 6


def test_batch_normalisation_without_variables_to_train_goes_by_its_place():
    plain = {"scale": False, "center": False}
    layers = [L.BatchNormalization(**plain), L.Conv2D(3, 1), L.BatchNormalization(**plain), L.Conv2D(3, 1)]
    layers += [L.BatchNormalization(**plain), L.BatchNormalization(**plain, trainable=False)]
    network = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    open_top(network, kept_frozen(network), 1)
    assert [layer.trainable for layer in layers] == [False, False, False, True, True, False]


class Twofold(keras.layers.Layer):
    """A gain of its own before a dense layer."""

    def __init__(self):
        super().__init__()
        self.inner = L.Dense(2)

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")
        self.inner.build(shape)

    def call(self, inputs):
        return self.inner(inputs * self.gain)


def test_a_frozen_layer_does_not_freeze_what_it_holds():
    layer = Twofold()
    network = keras.Sequential([keras.Input((3,)), layer])
    open_top(network, (), 1)
    assert not layer.gain.trainable and layer.inner.kernel.trainable and len(network.trainable_variables) == 2
