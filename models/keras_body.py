"""Keras networks cut at a feature layer."""

import difflib
import pathlib
import re

import keras

from graft.models.errors import GraftError, one_line
from graft.models.hashing import backbone_hash, require_identity
from graft.models.keras_archive import require_plain_layers
from graft.models.text import located

CLASSIFIER_NAMES = "logits|predictions|probabilities|softmax|classifier"
"""What the outputs of published classifiers are called, as a regular expression."""


def load_keras_file(handle: str, sha256: str | None = None, trust: bool = False) -> tuple[str, keras.Model]:
    """Loads a `.keras` file without its compile state.

    Args:
        handle: the file.
        sha256: the hash that it must have.
        trust: whether it may hold more than layers of Keras. Python code in it is refused all the same.

    Returns:
        The sha256 of the file, and the network.

    Raises:
        GraftError: if it is not there, has another content, holds more than layers of Keras, cannot be read, or is
            not a functional or sequential model with one input.
    """
    path = pathlib.Path(handle)
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.keras")) if path.parent.is_dir() else []
        hint = f"; that folder holds {', '.join(beside)}" if beside else ""
        raise GraftError(f"backbone {located(handle)} does not exist{hint}")
    identity = backbone_hash(path)
    if sha256 is not None:
        require_identity(handle, identity, sha256)
    if not trust:
        require_plain_layers(path)
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    # Keras raises many kinds for a broken or foreign file: zipfile's, h5py's, TypeError for unknown classes.
    except Exception as error:
        reason = one_line(error, None)
        raise GraftError(f"backbone {handle!r} cannot be loaded by Keras {keras.__version__}: {reason}") from error
    if len(getattr(model, "inputs", None) or ()) != 1:
        raise GraftError(f"backbone {handle!r} must be a functional or sequential model with one input")
    return identity, model


def cut_model(model: keras.Model, handle: str, feature_layer: str | None) -> keras.Model:
    """Cuts `model` at a layer, with a global average over maps `[n, h, w, c]`.

    Args:
        model: functional or sequential, one input.
        handle: for the messages.
        feature_layer: name of the layer whose output is the feature vector; by default the model's output.

    Returns:
        A model from the same input to float32 `[n, d]`.

    Raises:
        GraftError: if there is no such layer, or its output is neither `[n, d]` nor `[n, h, w, c]`.
    """
    names = [layer.name for layer in model.layers]
    if feature_layer is None:
        last = model.layers[-1]
        if re.search(CLASSIFIER_NAMES, last.name) or getattr(last, "activation", None) is keras.activations.softmax:
            raise GraftError(
                f"backbone {handle!r} ends in the classifier {last.name!r}, not in a feature vector: name an earlier "
                f"layer as backbone.feature_layer; the last ones are {', '.join(names[-5:])}"
            )
        outputs = model.outputs
    elif feature_layer in names:
        outputs = keras.tree.flatten(model.get_layer(feature_layer).output)
    else:
        near = difflib.get_close_matches(feature_layer, names, n=5, cutoff=0.3) or names[-5:]
        raise GraftError(f"backbone {handle!r} has no layer {feature_layer!r}; near names: {', '.join(near)}")
    where = f"layer {feature_layer!r}" if feature_layer else "its output"
    ranks = [len(tensor.shape) for tensor in outputs]
    if ranks not in ([2], [4]):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in outputs)
        raise GraftError(
            f"backbone {handle!r}: {where} is neither a feature vector [n, d] nor a map [n, h, w, c] but {shapes}. "
            f"Name another layer as backbone.feature_layer; the last ones are {', '.join(names[-5:])}"
        )
    features = outputs[0]
    if ranks == [4]:
        features = keras.layers.GlobalAveragePooling2D(name="feature_vector")(features)
    cut = keras.Model(model.inputs[0], features, name=model.name)
    if not model.trainable:  # what its publisher froze stays so
        cut.trainable = False
    return cut
