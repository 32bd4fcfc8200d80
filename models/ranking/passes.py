"""One pass of examples through a candidate: its features, and what its own classifier says where it has one."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from graft.models import handles
from graft.models.backbone import Backbone, check_backbone
from graft.models.features import extract_features
from graft.models.inputs.base import Input
from graft.models.keras_body import load_keras_file
from graft.models.options import BackboneOptions
from graft.models.shared_backbone import shared_backbone

_TRIED = 8


def run(
    options: BackboneOptions, input: Input, contents: Sequence[bytes], progress: Callable[[int], None] | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Loads a candidate, tries it on a few examples, and computes what scores look at.

    A `.keras` file that is cut at `feature_layer` and ends in a classifier gives both in the same pass.

    Args:
        options: of the candidate.
        input: what it is fed.
        contents: the examples.
        progress: called with the number of examples of each batch that is done.

    Returns:
        features float32 [n, d]; probabilities of the source's classes float32 [n, z], or None.

    Raises:
        GraftError: it cannot be loaded, is no feature vector, does not take such an input, or fails on the examples.
    """
    backbone = shared_backbone(options, input)
    check_backbone(backbone, contents[:_TRIED])
    classes, joint = _with_classifier(backbone, options)
    found = extract_features(joint, contents, progress=progress)
    if not classes:
        return found, None
    return found[:, :-classes], found[:, -classes:]


def _with_classifier(backbone: Backbone, options: BackboneOptions) -> tuple[int, Backbone]:
    """The number of classes of its own classifier, and a network that gives features and probabilities together."""
    place = handles.placed(options.handle)
    if options.feature_layer is None or not place.endswith(".keras"):
        return 0, backbone
    _, model = load_keras_file(place, options.sha256, options.trust)
    given = model.outputs[0] if len(model.outputs) == 1 else None
    if given is None or len(given.shape) != 2 or (given.shape[1] or 0) < 2:
        return 0, backbone
    # The file is read once more: the cut network keeps no way to the rest of it.
    whole = keras.Model(model.inputs[0], [_cut_point(model, options.feature_layer), given])
    features, answers = whole.outputs
    if getattr(model.layers[-1], "activation", None) is not keras.activations.softmax:
        answers = keras.layers.Softmax(name="probabilities_of_the_source")(answers)
    together = keras.layers.Concatenate(name="features_and_probabilities")([features, answers])
    both = keras.Model(whole.inputs[0], together)
    classes = int(given.shape[1])
    return classes, Backbone(
        both, backbone.handle, backbone.identity, backbone.takes, backbone.feature_dim + classes, backbone.feature_layer
    )


def _cut_point(model: keras.Model, layer: str) -> keras.KerasTensor:
    """The features as `models.keras_body.cut_model` makes them."""
    features = keras.tree.flatten(model.get_layer(layer).output)[0]
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="mean_of_the_map")(features)
    return features
