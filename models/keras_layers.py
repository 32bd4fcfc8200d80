"""The layers of a Keras network from input to output, and what of them may train."""

from collections.abc import Collection

import keras


def layers_in_order(network: keras.layers.Layer) -> list[keras.layers.Layer]:
    """All layers of a network: a container before what it holds, and that from input to output.

    Keras's own `_flatten_layers` turns the layers of a nested model around.

    Args:
        network: functional models list their layers by the longest way to the output, sequential ones in sequence,
            other containers as they were made.

    Returns:
        Each layer once, `network` first; one that is used several times at its first use.
    """
    found: dict[int, keras.layers.Layer] = {}

    def walk(layer: keras.layers.Layer) -> None:
        if id(layer) not in found:
            found[id(layer)] = layer
            for child in layer._layers:
                walk(child)

    walk(network)
    return list(found.values())


def kept_frozen(network: keras.layers.Layer) -> tuple[int, ...]:
    """Positions in `layers_in_order` of what is marked as not trainable, by itself or by what holds it."""
    layers = layers_in_order(network)
    for layer in layers:
        if not layer.trainable:
            set_trainable(layer, False)
    return tuple(place for place, layer in enumerate(layers) if not layer.trainable)


def learning_layers(network: keras.layers.Layer, kept: Collection[int]) -> list[keras.layers.Layer]:
    """The layers that have variables to train, from input to output.

    Args:
        network: what to look at.
        kept: positions to leave out, as `kept_frozen` gives them.
    """
    layers = enumerate(layers_in_order(network))
    return [layer for place, layer in layers if layer._trainable_variables and place not in kept]


def layer_names(network: keras.layers.Layer) -> list[str]:
    """Names of `layers_in_order`, each after the names of what holds it; that of `network` itself is empty."""
    found: dict[int, str] = {}

    def walk(layer: keras.layers.Layer, name: str) -> None:
        if id(layer) not in found:
            found[id(layer)] = name
            for child in layer._layers:
                walk(child, f"{name}/{child.name}" if name else child.name)

    walk(network, "")
    return list(found.values())


def open_places(network: keras.layers.Layer, kept: Collection[int], places: Collection[int]) -> None:
    """Makes some of `learning_layers` trainable and freezes the others.

    A frozen layer is frozen as a whole, so that its batch normalisation stays in inference too, and so is what stands
    before the first open one.

    Args:
        network: changed in place.
        kept: positions that stay frozen.
        places: in `learning_layers`.
    """
    layers = layers_in_order(network)
    learning = learning_layers(network, kept)
    opened = {id(learning[place]) for place in places}
    first = next((place for place, layer in enumerate(layers) if id(layer) in opened), len(layers))
    # Layers without variables, such as a batch normalisation without scale and offset, go by their place.
    opened.update(
        id(layer)
        for place, layer in enumerate(layers)
        if place > first and place not in kept and not layer._trainable_variables and not layer._layers
    )
    # A container comes before what it holds: its state goes down to all of that and is then corrected.
    for layer in layers:
        set_trainable(layer, any(id(part) in opened for part in layer._flatten_layers()))
        if id(layer) not in opened:
            for variable in layer._trainable_variables:
                variable.trainable = False


def set_trainable(layer: keras.layers.Layer, value: bool) -> None:
    """Assigns to `layer.trainable`, also where that has the value already.

    TensorFlow drops the assignment of the value that an attribute has, so `trainable = True` on a partly frozen network
    would not reach its layers.
    """
    type(layer).trainable.fset(layer, value)
