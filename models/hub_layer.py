"""A Reusable SavedModel (TF-Hub format) as a Keras 3 layer.

`hub.KerasLayer` is Keras 2 only, and `keras.layers.TFSMLayer` knows neither the publisher's list of trainable variables
nor the training trace nor the regularisation losses. The interface is that of
https://www.tensorflow.org/hub/reusable_saved_models.
"""

import inspect
import logging
import pathlib

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from graft.models.download import REMOTE, fetch
from graft.models.errors import GraftError, one_line
from graft.models.hashing import backbone_hash, require_identity
from graft.models.saved_model_check import require_allowed
from graft.models.text import located

_log = logging.getLogger(__name__)

_http_handles: set[str] = set()
_trusted: set[str] = set()
"""Handles that may be http, and identities that may do more than compute, because a configuration of this process says
so: a layer that is made of a saved configuration is not asked, and a file must not be able to grant itself either."""


def resolve_handle(handle: str, allow_http: bool = False) -> pathlib.Path:
    """Finds the folder of a SavedModel, downloading it into a private cache if it is remote.

    Args:
        handle: a local folder, or a TF-Hub or Kaggle URL, or the URL of a .tar.gz of a SavedModel.
        allow_http: whether an address may begin with http://.

    Raises:
        GraftError: if nothing is there, or the download fails (see `models.download`).
    """
    if handle.startswith(REMOTE):
        return fetch(handle, allow_http)
    path = pathlib.Path(handle)
    if not path.exists():
        raise GraftError(f"backbone {located(handle)} does not exist")
    if not (path / "saved_model.pb").is_file():
        nested = sorted(str(p.parent) for p in path.glob("*/saved_model.pb")) if path.is_dir() else []
        hint = f"; did you mean {' or '.join(nested)}?" if nested else ""
        raise GraftError(
            f"backbone {located(handle)} is not a SavedModel: there is no saved_model.pb in that folder{hint}"
        )
    return path


@keras.saving.register_keras_serializable("graft")
class HubLayer(keras.layers.Layer):
    """Calls a SavedModel and trains what its publisher lists as trainable.

    - `training=True` reaches the publisher's training trace only while the layer is trainable.
    - Regularisation losses are added only while the layer is trainable.
    - Always float32: a trace has the dtype it was made with, so a mixed-precision policy has no effect inside.
    - A SavedModel without `__call__` (TF1 Hub format, `model.export()`) is used through its `serving_default` or
      `default` signature, and cannot be trained.

    Args:
        handle: folder or URL of the SavedModel.
        trainable: whether the publisher's trainable variables train.
        identity: sha256 that the folder must have; what `get_config` writes, so that a saved model never loads on
            another backbone than its own.
        trust: whether the SavedModel may do more than compute (see `models.saved_model_check`); holds for its content
            until the process ends.
        allow_http: whether the handle may begin with http://; holds until the process ends.

    Attributes:
        identity: sha256 of the SavedModel's files.
        can_train: whether the SavedModel has a `__call__` and trainable variables.
        has_training_trace: whether `__call__` was traced for `training=True`.

    Raises:
        GraftError: if it cannot be found or read, has another identity, would do more than compute, or cannot be
            trained though `trainable`.
    """

    def __init__(
        self,
        handle: str,
        trainable: bool = False,
        identity: str | None = None,
        name: str | None = None,
        trust: bool = False,
        allow_http: bool = False,
    ):
        super().__init__(trainable=False, name=name, dtype="float32")
        self.supports_jit = False  # a restored graph may hold operations that XLA lacks
        self.handle = handle
        if allow_http:
            _http_handles.add(handle)
        folder = resolve_handle(handle, handle in _http_handles)
        self.identity = backbone_hash(folder)
        if identity is not None:
            require_identity(handle, self.identity, identity)
        if trust:
            _trusted.add(self.identity)
        if self.identity not in _trusted:
            require_allowed(
                folder,
                f"backbone {handle!r}",
                "a SavedModel is a program, so set backbone.trust: true only if you trust who made it, and pin it by "
                "backbone.sha256",
            )
        try:
            self._read(folder)
        except GraftError:
            raise
        except Exception as error:  # TensorFlow's loader takes a graph at its word, and raises whatever comes of it
            reason = one_line(error, None)
            raise GraftError(f"backbone {handle!r} cannot be read as a SavedModel: {reason}") from error
        self.can_train = bool(self._scopes)
        self.built = True
        self.trainable = trainable

    @property
    def traces(self) -> list[tf.types.experimental.ConcreteFunction]:
        """The concrete functions that `call` chooses from."""
        return list(self._module.__call__.concrete_functions) if self._is_reusable else [self._signature]

    @property
    def signature_outputs(self) -> list[str]:
        """Names of the outputs of the signature that serves this SavedModel; empty where it has none."""
        signature = self._signature or self._module.signatures.get("serving_default")
        return [] if signature is None else sorted(signature.structured_outputs)

    @property
    def units(self) -> list[list[keras.Variable]]:
        """The publisher's trainable variables from input to output, those of one name scope together."""
        return [[self._trainable_variables[index] for index in scope] for scope in self._scopes.values()]

    @property
    def unit_names(self) -> list[str]:
        """The name scopes of `units`."""
        return list(self._scopes)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value and not self.can_train:
            raise GraftError(
                f"backbone {self.handle!r} cannot be trained: its SavedModel has no __call__ with trainable_variables "
                "(TF1 Hub format or a plain export); use it frozen"
            )
        if value and not self.has_training_trace:
            _log.warning("backbone %s has no training trace: it trains through its inference trace", self.handle)
        keras.layers.Layer.trainable.fset(self, value)

    def call(self, inputs, training=None):
        if self.trainable:
            for loss in getattr(self._module, "regularization_losses", None) or ():
                self.add_loss(loss())
        if not self._is_reusable:
            (name,) = self._signature.structured_input_signature[1]
            outputs = self._signature(**{name: inputs})
            return next(iter(outputs.values())) if len(outputs) == 1 else outputs
        if not self._takes_training:
            return self._module(inputs)
        return self._module(inputs, training=bool(training) and self.trainable and self.has_training_trace)

    def get_config(self):
        base = super().get_config()
        return {
            "name": base["name"],
            "trainable": self.trainable,
            "handle": self.handle,
            "identity": self.identity,
        }

    @classmethod
    def from_config(cls, config):
        granted = {key: value for key, value in config.items() if key not in ("trust", "allow_http")}
        return cls(**granted)  # Keras would turn a GraftError into a TypeError

    def _read(self, folder: pathlib.Path) -> None:
        self._module = tf.saved_model.load(str(folder))
        self._is_reusable = callable(self._module)
        self._signature = None if self._is_reusable else _single_input_signature(self.handle, self._module)
        self._takes_training = self._is_reusable and "training" in inspect.signature(self._module.__call__).parameters
        self.has_training_trace = self._takes_training and any(
            _traced_for_training(self._module.__call__, trace) for trace in self.traces
        )
        self._scopes: dict[str, list[int]] = {}
        if self._is_reusable and getattr(self._module, "variables", None):
            self._wrap_variables(folder)
        self._wrap_captured()

    def _wrap_captured(self) -> None:
        """Tracks what the traces read without the publisher listing it, as a plain `tf.Module` does; it cannot train.

        Untracked it would be missing where this layer is saved.
        """
        known = {id(variable) for variable in getattr(self._module, "variables", None) or ()}
        for trace in self.traces:
            for variable in trace.variables:
                if id(variable) not in known:
                    known.add(id(variable))
                    self._track_variable(_wrapped(variable, trainable=False))

    def _wrap_variables(self, folder: pathlib.Path) -> None:
        """Makes a Keras variable around each restored one: an optimizer step on it moves the restored graph."""
        published = {id(variable) for variable in getattr(self._module, "trainable_variables", None) or ()}
        position = _first_uses(folder)
        restored = sorted(
            enumerate(self._module.variables), key=lambda pair: position.get(pair[0], len(position) + pair[0])
        )
        scopes: dict[str, list[int]] = {}
        for _, variable in restored:
            path = variable.name.removesuffix(":0")
            trains = id(variable) in published
            wrapped = _wrapped(variable, trains)
            if trains:
                scope = path.rpartition("/")[0] or path
                scopes.setdefault(scope, []).append(len(self._trainable_variables))
            self._track_variable(wrapped)
        self._scopes = scopes


def _wrapped(variable: tf.Variable, trainable: bool) -> keras.Variable:
    name = variable.name.removesuffix(":0").replace("/", "_")  # Keras allows no slash
    return keras.Variable(variable, shape=variable.shape, dtype=variable.dtype.name, trainable=trainable, name=name)


def _single_input_signature(handle: str, module) -> tf.types.experimental.ConcreteFunction:
    for key in ("serving_default", "default"):
        if key in module.signatures and len(module.signatures[key].structured_input_signature[1]) == 1:
            return module.signatures[key]
    raise GraftError(
        f"backbone {handle!r} has neither __call__ nor a signature serving_default or default with one input; "
        f"its signatures: {', '.join(module.signatures) or 'none'}"
    )


def _traced_for_training(function, trace: tf.types.experimental.ConcreteFunction) -> bool:
    arguments, keywords = trace.structured_input_signature
    value = inspect.signature(function).bind_partial(*arguments, **keywords).arguments.get("training", False)
    return bool(value) if isinstance(value, bool) else isinstance(value, tf.TensorSpec)


def _first_uses(folder: pathlib.Path) -> dict[int, int]:
    """Index in the SavedModel's `variables` -> rank in which its `__call__` first reads that variable.

    A trace captures variables in the order in which it meets them, that is from input to output, whereas the lists
    may have any order. Read from the file, because distributed variables do not show which capture is theirs.
    """
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((folder / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].object_graph_def
    children = {child.local_name: graph.nodes[child.node_id] for child in graph.nodes[0].children}
    index_of = {child.node_id: int(child.local_name) for child in children["variables"].children}
    traces = [graph.concrete_functions[name] for name in children["__call__"].function.concrete_functions]
    longest = max(traces, key=lambda trace: len(trace.bound_inputs))
    captured = [index_of[node] for node in longest.bound_inputs if node in index_of]
    return {index: rank for rank, index in enumerate(captured)}
