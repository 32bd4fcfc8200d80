"""Backbones: one interface over TF-Hub SavedModels, `.keras` files and `keras.applications`."""

import math
import pathlib
import re
from collections.abc import Collection, Sequence

import keras
import numpy as np
import tensorflow as tf

from graft.models import applications, handles
from graft.models.batch_statistics import STATISTIC
from graft.models.empty_batch import never_empty
from graft.models.errors import GraftError, one_line
from graft.models.hashing import require_identity
from graft.models.hub_layer import HubLayer
from graft.models.inputs import make_input, parse_options
from graft.models.inputs.base import Input
from graft.models.keras_body import CLASSIFIER_NAMES, cut_model, load_keras_file
from graft.models.keras_identity import model_identity
from graft.models.keras_layers import (
    kept_frozen,
    layer_names,
    layers_in_order,
    learning_layers,
    open_places,
    set_trainable,
)
from graft.models.layer_groups import LayerGroup, NamedLayer, group_layers, matching, unique, without_common
from graft.models.options import BackboneOptions
from graft.models.probe import find_fault


@keras.saving.register_keras_serializable("graft")
class Backbone(keras.layers.Layer):
    """A pre-trained network from prepared examples to feature vectors.

    Call it with a batch of `takes.spec`; it returns float32 features `[n, feature_dim]`. `training=True` reaches the
    network only while the backbone is trainable and `training_trace` is true: with `training_trace = False` the
    variables train while batch normalisation and dropout stay in inference.
    Freeze and unfreeze with `unfreeze`, never by assigning to `trainable`.

    Args:
        body: the network, a `HubLayer` or a `keras.Model`.
        handle: where the network came from.
        identity: sha256 of what was loaded.
        takes: its input.
        feature_dim: width of the feature vector.
        feature_layer: name of the layer whose output is the feature vector, for Keras networks.
        training_trace: see above.
        unfrozen: what to unfreeze from the start, as for `unfreeze`.
        kept: which layers of a Keras network stay frozen however far one unfreezes, as positions in
            `models.keras_layers.layers_in_order`; by default those that its publisher saved as not trainable.

    Use `load_backbone` to make one.
    """

    def __init__(
        self,
        body: keras.layers.Layer,
        handle: str,
        identity: str,
        takes: Input,
        feature_dim: int,
        feature_layer: str | None = None,
        training_trace: bool = True,
        unfrozen: float | Sequence[str] = 0.0,
        kept: Sequence[int] | None = None,
        name: str | None = "backbone",
    ):
        super().__init__(name=name, dtype="float32")
        self.body = body
        self.handle = handle
        self.identity = identity
        self.takes = takes
        self.feature_dim = feature_dim
        self.feature_layer = feature_layer
        self.training_trace = training_trace
        if kept is None:  # a SavedModel lists what may train
            kept = () if isinstance(body, HubLayer) else kept_frozen(body)
        self.kept = tuple(kept)
        self.built = True
        self._lent = False
        self.unfreeze(unfrozen)

    @property
    def units(self) -> list[list[keras.Variable]]:
        """Every variable that can be trained, from input to output, those of one layer together."""
        if isinstance(self.body, HubLayer):
            return self.body.units
        return [layer._trainable_variables for layer in learning_layers(self.body, self.kept)]

    @property
    def layers(self) -> list[NamedLayer]:
        """`units` with the names of their layers."""
        if isinstance(self.body, HubLayer):
            names = self.body.unit_names
        else:
            learning = {id(layer) for layer in learning_layers(self.body, self.kept)}
            named = zip(layers_in_order(self.body), layer_names(self.body), strict=True)
            names = [name for layer, name in named if id(layer) in learning]
        names = unique(without_common(names))
        return [NamedLayer(name, unit) for name, unit in zip(names, self.units, strict=True)]

    @property
    def groups(self) -> list[LayerGroup]:
        """Every variable that can be trained, from input to output, in groups of layers that belong together."""
        return group_layers(self.layers)

    def unfreeze(self, what: float | Sequence[str]) -> int:
        """Makes a part of the network trainable and freezes the rest.

        Compile the model again afterwards: Keras keeps the list of variables of the last compilation.

        Args:
            what: a fraction: 0 freezes all; 1 unfreezes all that the publisher allows; in between the top
                `ceil(fraction * len(units))` units. Or patterns of names of groups and layers, see
                `models.layer_groups.matching`.

        Returns:
            The number of units that are now trainable.

        Raises:
            GraftError: if a fraction is not within 0 to 1, a pattern names nothing, or the network cannot be trained.
        """
        if isinstance(what, int | float) and not 0 <= what <= 1:
            raise GraftError(f"fraction of the backbone to unfreeze must be from 0 to 1; received {what}")
        if self._lent and what:
            raise RuntimeError("this backbone is shared with others; load one of your own to train it")
        units = self.units
        if what and not units and not isinstance(self.body, HubLayer):  # which says so itself
            raise GraftError(
                f"backbone {self.handle!r} cannot be trained: its publisher saved no layer with weights as trainable; "
                "use it frozen, or save it with trainable = True"
            )
        places = self._places(what)
        set_trainable(self.body, bool(what))  # refuses what cannot be trained
        set_trainable(self, bool(what))
        if isinstance(self.body, HubLayer):
            for place, unit in enumerate(units):
                for variable in unit if place not in places else ():
                    variable.trainable = False
        else:
            open_places(self.body, self.kept, places)
        self.unfrozen = what
        return len(places)

    def _places(self, what: float | Sequence[str]) -> Collection[int]:
        """Which of `units` a fraction or patterns mean."""
        if isinstance(what, int | float):
            units = len(self.units)
            return range(units - math.ceil(what * units), units)
        layers = self.layers
        if not layers and isinstance(self.body, HubLayer):
            return ()  # it refuses to train, with the reason
        named = matching(group_layers(layers), what, f"backbone {self.handle!r}")
        return {place for place, layer in enumerate(layers) if layer.name in named}

    def lend(self) -> None:
        """From now on it only computes: who shares it relies on its weights; there is no way back."""
        self.unfreeze(0.0)
        self._lent = True

    def call(self, examples, training=None):
        in_training = bool(training) and self.trainable and self.training_trace
        features = never_empty(lambda some: self.body(some, training=in_training), examples)
        return keras.ops.cast(features, "float32")  # a Keras body may compute in float16 under mixed precision

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.feature_dim)

    def get_config(self):
        return {
            "name": self.name,
            "body": keras.saving.serialize_keras_object(self.body),
            "handle": self.handle,
            "identity": self.identity,
            "takes": self.takes.options.model_dump(mode="json"),
            "feature_dim": self.feature_dim,
            "feature_layer": self.feature_layer,
            "training_trace": self.training_trace,
            "unfrozen": self.unfrozen,
            "kept": self.kept,
        }

    @classmethod
    def from_config(cls, config):
        options = parse_options(config["takes"])
        body = keras.saving.deserialize_keras_object(config["body"])
        return cls(**{**config, "body": body, "takes": make_input(options)})


def load_backbone(
    handle: str,
    input: Input,
    feature_layer: str | None = None,
    trainable: bool = False,
    sha256: str | None = None,
    trust: bool = False,
    allow_http: bool = False,
) -> Backbone:
    """Loads a backbone from what `handle` names.

    The arguments but `input` and `trainable` are the keys of `models.options.BackboneOptions`.

    Args:
        handle: the folder of a SavedModel; a TF-Hub or Kaggle URL (fetched by `models.download`); a `.keras` file; a
            network of `keras.applications` as `[applications:]NAME[?weights=none]`; or `KIND:NAME`, which an installed
            package resolves (see `models.handles`).
        input: what the pipeline makes of an example, in the form that the network was trained on.
        feature_layer: for Keras networks, the layer to cut at; by default the last one. Maps are averaged over
            height and width.
        trainable: whether the whole network trains.
        sha256: the `identity` that it must have. Nothing of another file or folder is loaded; a network of
            `keras.applications` has its identity only once it is built.
        trust: whether a SavedModel or a `.keras` file may do more than compute.
        allow_http: whether a URL may begin with http://.

    Raises:
        GraftError: if it is not there, has another content, does more than compute, is not a feature vector, or does
            not take such an input.
    """
    body, identity = load_body(handle, input, feature_layer, sha256, trust, allow_http)
    try:
        feature_dim = check_shapes(body, handle, input)
    except (AttributeError, StopIteration, TypeError) as error:  # objects that only look like functions
        raise GraftError(f"backbone {handle!r} cannot be read as a SavedModel: {error}") from error
    return Backbone(
        body,
        handle,
        identity,
        input,
        feature_dim,
        feature_layer=feature_layer,
        unfrozen=float(trainable),
    )


def configured_backbone(options: BackboneOptions, input: Input) -> Backbone:
    """`load_backbone` with what a configuration says."""
    return load_backbone(input=input, **options.model_dump())


def load_body(
    handle: str,
    input: Input,
    feature_layer: str | None = None,
    sha256: str | None = None,
    trust: bool = False,
    allow_http: bool = False,
) -> tuple[keras.layers.Layer, str]:
    """The network of a backbone and its identity, whether or not it takes such an input; see `load_backbone`.

    Args:
        handle: of the network.
        input: for networks of `keras.applications`, which are built for one.
        feature_layer: as for `load_backbone`, and so are the others.

    Raises:
        GraftError: as `load_backbone`, but for what the network takes and gives.
    """
    if applications.is_application(handle):
        model = applications.build_application(handle, input)
        body = cut_model(model, handle, feature_layer)
        identity = model_identity(body)
        if sha256 is not None:
            require_identity(handle, identity, sha256)
        return body, identity
    given, handle = handle, handles.placed(handle)
    if handle.endswith(".keras"):
        identity, model = load_keras_file(handle, sha256, trust)
        return cut_model(model, handle, feature_layer), identity
    if feature_layer is not None:
        raise GraftError(
            f"backbone {handle!r} is a SavedModel, which cannot be cut: leave out backbone.feature_layer "
            f"({feature_layer!r}) or use a .keras file"
        )
    near = [] if handle != given or pathlib.Path(handle).exists() else applications.near_names(handle)
    if near:
        raise GraftError(
            f"backbone {handle!r} is neither a file nor a network of keras.applications; did you mean "
            f"{', '.join(near)}?"
        )
    restored = HubLayer(handle, identity=sha256, trust=trust, allow_http=allow_http)
    return restored, restored.identity


def check_backbone(backbone: Backbone, contents: Sequence[bytes] = ()) -> None:
    """Runs a few examples through the backbone before anything costly starts.

    Args:
        backbone: left as it is.
        contents: what to try, from 2 to a dozen, such as it will be used on; with fewer made-up ones.

    Raises:
        GraftError: if it fails, if the features are not finite, the same for every example, or the probabilities of a
            classifier, or if the input has doubts of its own (see `models.inputs`).
    """
    probes = backbone.takes.probes(contents)
    try:
        fault = find_fault(backbone.body, probes, backbone.takes)
    except (GraftError, MemoryError, tf.errors.ResourceExhaustedError):
        raise
    except Exception as error:  # a graph of somebody else fails in whatever way
        reason = one_line(error, None)
        unit = backbone.takes.unit
        raise GraftError(f"backbone {backbone.handle!r} fails on {unit} {tuple(probes.shape)}: {reason}") from error
    if fault:
        raise GraftError(f"backbone {backbone.handle!r} with {backbone.takes.fed} {fault}")


def scratch_backbone(backbone: Backbone, seed: int) -> Backbone:
    """The same architecture with weights drawn anew, to measure what the pre-trained ones are worth.

    Kernels are drawn as He et al. 2015 (arXiv 1502.01852), equation 10; scales become 1, biases and moving means 0,
    moving variances 1. Layers of a Keras network that its publisher froze are drawn and can be trained too: kept, they
    would bring what was learned before, and drawn but frozen they would be noise. Constants that are no weights of a
    layer, or that a SavedModel does not list as trainable, are kept.

    Args:
        backbone: what to copy; it is left as it is.
        seed: same seed, same weights.
    """
    identity = f"{backbone.identity}:scratch:{seed}"
    scratch = Backbone.from_config({**backbone.get_config(), "identity": identity, "unfrozen": 0.0, "kept": ()})
    learned = {id(variable) for unit in scratch.units for variable in unit}
    for index, (fresh, published) in enumerate(zip(scratch.body.variables, backbone.body.variables, strict=True)):
        value = drawn_anew(fresh, id(fresh) in learned, np.random.default_rng([seed, index]))
        fresh.assign(published if value is None else value)
    scratch.unfreeze(backbone.unfrozen)
    return scratch


def traced_shapes(body: keras.layers.Layer) -> tuple[list[tf.TensorSpec], list[list[tf.TensorSpec]]]:
    """What a body takes and what it returns for it, by trace; a Keras network has one."""
    if isinstance(body, HubLayer):
        taken = [_first_spec(trace.structured_input_signature) for trace in body.traces]
        return taken, [tf.nest.flatten(trace.structured_outputs) for trace in body.traces]
    taken = [tf.TensorSpec(body.input_shape, body.inputs[0].dtype)]
    return taken, [[tf.TensorSpec(body.output_shape, body.outputs[0].dtype)]]


def check_shapes(body: keras.layers.Layer, handle: str, input: Input) -> int:
    """Width of the feature vector, once it is known that the body takes such an input and gives such vectors."""
    taken, given = traced_shapes(body)
    if isinstance(body, HubLayer):
        classifiers = [name for name in body.signature_outputs if re.search(CLASSIFIER_NAMES, name)]
        if classifiers:
            raise GraftError(
                f"backbone {handle!r} is a classifier, not a feature vector: its signature returns "
                f"{', '.join(body.signature_outputs)}; use the feature-vector variant of the model"
            )
    wanted = input.spec
    if any(spec.dtype != wanted.dtype for spec in taken):
        raise GraftError(f"backbone {handle!r} takes {taken[0].dtype.name}; allowed: {wanted.dtype.name} {input.unit}")
    fitting = [
        outputs for spec, outputs in zip(taken, given, strict=True) if spec.shape.is_compatible_with(wanted.shape)
    ]
    if not fitting:
        shapes = " or ".join(sorted({str(spec.shape) for spec in taken}))
        raise GraftError(
            f"backbone {handle!r} takes {input.unit} of shape {shapes}; {input.told}, which gives {wanted.shape}"
        )
    outputs = fitting[0]
    shape = outputs[0].shape if len(outputs) == 1 else None
    if shape is None or shape.rank != 2 or shape[1] is None or not outputs[0].dtype.is_floating:
        shapes = ", ".join(f"{output.dtype.name}{output.shape}" for output in outputs)
        raise GraftError(
            f"backbone {handle!r} is not a feature vector: it returns {shapes}; allowed: one float tensor [n, d]"
        )
    return shape[1]


def _first_spec(signature) -> tf.TensorSpec:
    return next(spec for spec in tf.nest.flatten(signature) if isinstance(spec, tf.TensorSpec))


def drawn_anew(variable: keras.Variable, learned: bool, rng: np.random.Generator) -> np.ndarray | None:
    """A starting value for `variable`, or None where it is a constant of the network."""
    shape = tuple(variable.shape)
    if STATISTIC.search(variable.name):
        return np.full(shape, float(variable.name.endswith("variance")), np.float32)
    if not learned:
        return None
    if re.search(r"(gamma|scale)$", variable.name):
        return np.ones(shape, np.float32)
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    # A depthwise kernel [h, w, channels, multiplier] sees one channel only.
    depthwise = len(shape) == 4 and shape[-1] == 1
    fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
    return rng.normal(0.0, math.sqrt(2.0 / fan_in), shape).astype(np.float32)
