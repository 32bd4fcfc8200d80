"""Names for the parts of a network: its layers, and groups of layers that belong together.

Methods treat a network in parts, from the output down: one part after the other is unfrozen, or a lower part learns
more slowly. A layer with weights is too small a part for that: a convolution and the normalisation after it belong
together, and so do the layers of one block. What belongs together is told by names, since that is all that a restored
SavedModel has.
"""

import dataclasses
import fnmatch
import itertools
import math
import re
from collections.abc import Sequence

import keras

from graft.models.errors import GraftError

_NUMBERED = re.compile(r"^(?!.*conv[123]d$).*\d[a-z]?$", re.IGNORECASE)
"""The word that counts blocks: `block3`, `block2a`, `13`; `conv2d` counts nothing."""


@dataclasses.dataclass(frozen=True)
class NamedLayer:
    """A layer's variables that can be trained.

    Attributes:
        name: of the layer, after those of the networks that hold it, with slashes between.
        variables: one or more.
    """

    name: str
    variables: Sequence[keras.Variable]

    @property
    def parameters(self) -> int:
        """Numbers in all variables."""
        return sum(math.prod(variable.shape) for variable in self.variables)


@dataclasses.dataclass(frozen=True)
class LayerGroup:
    """Layers that belong together.

    Attributes:
        name: what the names of its layers begin with.
        layers: from input to output.
    """

    name: str
    layers: Sequence[NamedLayer]

    @property
    def variables(self) -> list[keras.Variable]:
        """Of all its layers."""
        return [variable for layer in self.layers for variable in layer.variables]

    @property
    def parameters(self) -> int:
        """Numbers in all variables."""
        return sum(layer.parameters for layer in self.layers)


def group_layers(layers: Sequence[NamedLayer]) -> list[LayerGroup]:
    """Layers in groups, which stand in the order of their first layers.

    What all names begin with says nothing. After it a group's name goes up to the first word with a number at its end
    (`conv2_block1_1_conv` is of `conv2`, `MobilenetV2/expanded_conv_13/expand` of `MobilenetV2/expanded_conv_13`), and
    in a name without one up to its last word (`stem_conv` is of `stem`). A group of vectors alone, such as a
    normalisation's, goes to the one before it.

    Args:
        layers: from input to output.
    """
    words = [re.findall(r"[^/_.\-]+|[/_.\-]", layer.name) for layer in layers]
    same = 0
    while len(words) > 1 and all(
        len(some) > same + 2 and some[same : same + 2] == words[0][same : same + 2] for some in words
    ):
        same += 2
    names = ["".join(some[: _end(some, same)]) for some in words]
    more_than_vectors = {name for name, layer in zip(names, layers, strict=True) if not _of_vectors(layer)}
    found: dict[str, list[NamedLayer]] = {}
    last = ""
    for name, layer in zip(names, layers, strict=True):
        last = name if name in more_than_vectors or not last else last
        found.setdefault(last, []).append(layer)
    return [LayerGroup(name, members) for name, members in found.items()]


def matching(groups: Sequence[LayerGroup], patterns: Sequence[str], owner: str) -> set[str]:
    """Names of the layers that patterns name.

    Args:
        groups: of a network.
        patterns: of names of groups or layers, as of files: `*` stands for any text, `?` for one character, `[12]` for
            one of these. A group stands for all its layers.
        owner: of the groups, for the message.

    Raises:
        GraftError: a pattern names none.
    """
    found: set[str] = set()
    for pattern in patterns:
        named = {
            layer.name
            for group in groups
            for layer in group.layers
            if fnmatch.fnmatchcase(group.name, pattern) or fnmatch.fnmatchcase(layer.name, pattern)
        }
        if not named:
            raise GraftError(
                f"transfer.unfreeze: {pattern!r} matches no group and no layer of {owner}; its groups, from input to "
                f"output: {', '.join(group.name for group in groups) or 'none'}"
            )
        found |= named
    return found


def unique(names: Sequence[str]) -> list[str]:
    """The same names with a number after each that stood before: layers of two networks may share one."""
    counts: dict[str, itertools.count] = {}
    told = []
    for name in names:
        place = next(counts.setdefault(name, itertools.count(1)))
        told.append(name if place == 1 else f"{name}:{place}")
    return told


def without_common(names: Sequence[str]) -> list[str]:
    """The names without the networks that hold all of them, so that a network in a network has the names of its own."""
    parts = [name.split("/") for name in names]
    while parts and all(len(some) > 1 and some[0] == parts[0][0] for some in parts):
        parts = [some[1:] for some in parts]
    return ["/".join(some) for some in parts]


def _end(words: Sequence[str], same: int) -> int:
    """How many words of a name are its group's."""
    for place in range(same, len(words)):
        if _NUMBERED.match(words[place]):
            return place + 1
    return max(len(words) - 2, same + 1)


def _of_vectors(layer: NamedLayer) -> bool:
    return all(len(variable.shape) < 2 for variable in layer.variables)
