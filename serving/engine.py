"""Runs the signatures of one SavedModel; knows nothing of transports, versions or other models.

The model is loaded into a compat.v1 Session, as TensorFlow Serving does in C++: kernels' own messages, no casting of
inputs, SignatureDefs with their defaults, TF1 and TF2 models alike. Signatures whose variables nothing changes run on a
copy of their nodes in which the small ones are constants (see `serving.freezing`), one caller a core.
"""

import logging
import os
import pathlib
import threading
import time
from collections.abc import Mapping, Sequence

import grpc
import numpy as np
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import deprecation

from graft.models import grappler
from graft.models.errors import GraftError, kernel_reason, one_line
from graft.models.inputs.guards import guards_for
from graft.models.saved_model_check import find_faults, summary
from graft.serving import freezing, tensors
from graft.serving.status import CODES, ServingError, invalid

DEFAULT_SIGNATURE = "serving_default"
TAGS = ("serve",)
MAX_FETCH_SETS = 8
"""Sets of outputs of a signature, beside all of them, for which an executor is kept."""

logger = logging.getLogger(__name__)


class Engine:
    """One loaded version of a model.

    Args:
        path: folder of the SavedModel.
        freeze: run signatures with their small variables as constants where that changes no answer.
        tags: of the meta graph to load.
        trusted: whether the model may do more than compute (see `models.saved_model_check`).

    Attributes:
        signatures: SignatureDef by name.
        frozen: names of the signatures that run frozen.
        guards: what bounds the work that a request may ask of this model.

    Raises:
        ServingError: NOT_FOUND without a SavedModel or meta graph; PERMISSION_DENIED for a model that does more than
            compute and is not trusted; else the code of the failed restore.
    """

    def __init__(
        self, path: str | pathlib.Path, freeze: bool = True, tags: Sequence[str] = TAGS, trusted: bool = False
    ):
        self.path = pathlib.Path(path)
        _check(self.path, trusted)
        self._session = _new_session()
        try:
            meta_graph = _load(self._session, self.path, tags)
            self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
            self.guards = guards_for(meta_graph.graph_def)
            runnable = self._runnable()
            frozen = self._freeze(runnable) if freeze else {}
            self.frozen = frozenset(frozen)
            self._fetches = {
                name: self._fetchable(frozen.get(name) or {tensor: tensor for tensor in signature.outputs})
                for name, signature in runnable.items()
            }
            # Session.run would do this by itself; `_call_kept` goes below it.
            self._session._extend_graph()
        except BaseException:
            self._session.close()
            raise
        callers = 2 if tf.config.list_physical_devices("GPU") else len(os.sched_getaffinity(0))
        self._callers = threading.Semaphore(callers)
        self._handles: dict[str, object] = {}
        self._fetch_sets: dict[str, set[tuple[str, ...]]] = {}
        self._fetch_sets_lock = threading.Lock()

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """The SignatureDef called `name`, "" meaning the default one. Raises KeyError."""
        return self.signatures[name or DEFAULT_SIGNATURE]

    def run(
        self,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs one signature; may be called from several threads at once.

        Args:
            signature_name: a key of `signatures`.
            inputs: an array for each input of the signature that has no default.
            outputs: the outputs wanted; none means all.
            timeout_s: after this many seconds the run is stopped.

        Returns:
            The wanted outputs by name.

        Raises:
            ServingError: INVALID_ARGUMENT for inputs or outputs that are not the signature's; DEADLINE_EXCEEDED; else
                what the kernel that failed says.
        """
        signature = self.signatures[signature_name]
        feeds = _feeds(signature, inputs)
        wanted = list(dict.fromkeys(outputs)) or sorted(signature.outputs)
        for alias in wanted:
            if alias not in signature.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                    f"{{{','.join(sorted(signature.outputs))}}}."
                )
        names = {alias: self._fetch(signature_name, signature.outputs[alias]) for alias in wanted}
        fetches = sorted(set(names.values()))
        end = None if timeout_s is None else time.monotonic() + timeout_s
        limited = signature_name in self.frozen
        if limited and not self._callers.acquire(timeout=timeout_s):
            raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out waiting for a free core")
        try:
            remaining = None if end is None else end - time.monotonic()
            if remaining is not None and remaining <= 0:
                raise ServingError(grpc.StatusCode.DEADLINE_EXCEEDED, "Timed out before the run could start")
            values = self._call(signature_name, feeds, fetches, remaining)
        finally:
            if limited:
                self._callers.release()
        found = dict(zip(fetches, map(_as_array, values), strict=True))
        return {alias: found[name] for alias, name in names.items()}

    def close(self) -> None:
        """Frees the model. No run may be under way."""
        self._session.close()

    def _runnable(self) -> dict[str, freezing.Signature]:
        """The signatures that take and give tensors of the graph; those for init and training name operations."""
        found = {}
        for name, signature in self.signatures.items():
            inputs = [_known_name(self._session.graph, info) for info in signature.inputs.values()]
            outputs = [_known_name(self._session.graph, info) for info in signature.outputs.values()]
            known = [tensor for tensor in outputs if tensor is not None]
            if known and None not in inputs:
                found[name] = freezing.Signature([tensor for tensor in inputs if tensor is not None], known)
        return found

    def _freeze(self, runnable: Mapping[str, freezing.Signature]) -> Mapping[str, Mapping[str, str]]:
        frozen = freezing.freeze(self._session, runnable)
        for name, reason in frozen.reasons.items():
            logger.info("%s: signature %s is not frozen: %s", self.path, name, reason)
        if frozen.outputs:
            logger.info("%s: frozen signatures: %s", self.path, ", ".join(sorted(frozen.outputs)))
        return frozen.outputs

    def _fetchable(self, outputs: Mapping[str, str]) -> dict[str, str]:
        """What to fetch for each output tensor: a node behind it.

        A function call that is itself fetched runs all of its outputs; one that is only consumed is inlined and pruned.
        """
        graph = self._session.graph
        with graph.as_default():
            return {name: _behind(graph.get_tensor_by_name(source)).name for name, source in outputs.items()}

    def _fetch(self, signature_name: str, info: meta_graph_pb2.TensorInfo) -> str:
        name = _tensor_name(info)
        try:
            return self._fetches[signature_name][name]
        except KeyError as error:
            raise invalid(f"{name!r} is no tensor of the model's graph") from error

    def _call(
        self, signature_name: str, feeds: Mapping[str, np.ndarray], fetches: list[str], timeout_s: float | None
    ) -> list[np.ndarray]:
        options = None
        if timeout_s is not None:
            options = tf1.RunOptions(timeout_in_ms=max(1, round(timeout_s * 1000)))
        try:
            if self._may_keep(signature_name, tuple(fetches)):
                return self._call_kept(feeds, fetches, options)
            return self._call_once(feeds, fetches, options)
        except tf.errors.OpError as error:
            raise ServingError(CODES[error.error_code], kernel_reason(error.message)) from error
        except UnicodeDecodeError as error:
            # A kernel that quotes what it was sent, and that is no text: TensorFlow's Python fails on its own message,
            # and the code is lost. What a kernel quotes is the caller's.
            raise invalid(error.object.decode(errors="backslashreplace")) from error

    def _may_keep(self, signature_name: str, fetches: tuple[str, ...]) -> bool:
        """Whether the session may keep an executor for these outputs.

        It keeps each for ever, with its own copy of the constants, and clients choose the sets by their output filters.
        """
        with self._fetch_sets_lock:
            known = self._fetch_sets.setdefault(signature_name, set())
            every = len(fetches) == len(self._fetches[signature_name])
            if fetches not in known and (every or len(known) < MAX_FETCH_SETS):
                known.add(fetches)
            return fetches in known

    def _call_kept(
        self, feeds: Mapping[str, np.ndarray], fetches: list[str], run_options: tf1.RunOptions | None
    ) -> list[np.ndarray]:
        # Session.run would cast the inputs, and a callable of `_make_callable_from_options` holds one fixed timeout;
        # the call both are built on does neither. It is private, hence only here, and tested.
        options = None
        if run_options is not None:
            options = pywrap_tf_session.TF_NewBufferFromString(run_options.SerializeToString())
        try:
            return self._session._call_tf_sessionrun(
                options,
                {self._handle(name): value for name, value in feeds.items()},
                [self._handle(name) for name in fetches],
                [],
                None,
            )
        finally:
            if options is not None:
                pywrap_tf_session.TF_DeleteBuffer(options)

    def _call_once(
        self, feeds: Mapping[str, np.ndarray], fetches: list[str], run_options: tf1.RunOptions | None
    ) -> list[np.ndarray]:
        # Slower than the kept ones by the making of an executor, which goes with the callable.
        options = config_pb2.CallableOptions(feed=list(feeds), fetch=fetches, run_options=run_options)
        return self._session._make_callable_from_options(options)(*feeds.values())

    def _handle(self, tensor_name: str) -> object:
        handle = self._handles.get(tensor_name)
        if handle is None:
            handle = self._session.graph.get_tensor_by_name(tensor_name)._as_tf_output()
            self._handles[tensor_name] = handle
        return handle


def _behind(tensor: tf.Tensor) -> tf.Tensor:
    """A node behind a tensor.

    Grappler inlines a function that can fail, such as one that checks an image, only where something waits for the
    call. Left alone, it and each function that it calls are optimized apart and once more when they first run: more
    than twice the time until a version is ready. A wait for the very node that is consumed is dropped as superfluous.
    """
    waits = []
    if tensor.op.type == "StatefulPartitionedCall":
        with tf.control_dependencies([tensor.op]):
            waits = [tf.no_op(name="called")]
    with tf.control_dependencies(waits):
        return tf.identity(tensor, name="fetched")


def _new_session() -> tf1.Session:
    config = tf1.ConfigProto(allow_soft_placement=True)
    config.gpu_options.allow_growth = True
    # Grappler leaves graphs of less than four nodes alone, and then a call runs all outputs of its function.
    config.graph_options.rewrite_options.min_graph_nodes = -1
    grappler.spare(config)
    return tf1.Session(graph=tf.Graph(), config=config)


def _check(path: pathlib.Path, trusted: bool) -> None:
    """Refuses what is no SavedModel, and a program: before TensorFlow reads it, for loading runs its initialisers."""
    if not (path / "saved_model.pb").is_file() and not (path / "saved_model.pbtxt").is_file():
        raise ServingError(
            grpc.StatusCode.NOT_FOUND,
            f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}",
        )
    if trusted:
        return
    try:
        faults = find_faults(path)
    except GraftError as error:
        raise ServingError(grpc.StatusCode.DATA_LOSS, str(error)) from error
    if faults:
        raise ServingError(
            grpc.StatusCode.PERMISSION_DENIED,
            f"{path} {summary(faults)}; only if you trust who can write there, start the server with --trust and the "
            "model's name",
        )


def _load(session: tf1.Session, path: pathlib.Path, tags: Sequence[str]) -> meta_graph_pb2.MetaGraphDef:
    try:
        # The loader has been "deprecated" since TF 2.0 and is what the C++ server's loader corresponds to.
        with session.graph.as_default(), deprecation.silence():
            return tf1.saved_model.load(session, list(tags), str(path))
    except tf.errors.OpError as error:
        raise ServingError(CODES[error.error_code], f"{path}: {kernel_reason(error.message)}") from error
    except RuntimeError as error:
        # loader_impl's type for tags that no meta graph has
        raise ServingError(
            grpc.StatusCode.NOT_FOUND,
            f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }} in {path}",
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ServingError(
            grpc.StatusCode.DATA_LOSS, f"{path}: the SavedModel cannot be read: {one_line(error)}"
        ) from error


def _tensor_name(info: meta_graph_pb2.TensorInfo) -> str:
    if info.WhichOneof("encoding") != "name":
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, "only dense tensors are served, not sparse or composite ones")
    return info.name


def _as_array(value: object) -> np.ndarray:
    """A session gives scalars as what they hold; NumPy would cut a string's trailing NULs."""
    if isinstance(value, bytes):
        array = np.empty((), np.object_)
        array[()] = value
        return array
    return np.asarray(value)


def _known_name(graph: tf.Graph, info: meta_graph_pb2.TensorInfo) -> str | None:
    try:
        return graph.get_tensor_by_name(_tensor_name(info)).name
    except (ServingError, KeyError, ValueError):
        return None


def _feeds(signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by tensor name, defaults filled in; the checks and words of TensorFlow Serving's predict_util."""
    expected, sent = set(signature.inputs), set(inputs)
    if not signature.defaults and len(sent) != len(expected):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({{{_joined(sent)}}}) != "
            f"len({{{_joined(expected)}}}). Sent extra: {{{_joined(sent - expected)}}}. "
            f"Missing but required: {{{_joined(expected - sent)}}}."
        )
    feeds = {}
    for alias in sorted(expected):
        name = _tensor_name(signature.inputs[alias])
        if alias in inputs:
            feeds[name] = inputs[alias]
        elif alias in signature.defaults:
            feeds[name] = tensors.to_array(signature.defaults[alias])
        else:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {name}) not found in request and no default value "
                f"provided. Inputs expected to be in the set {{{_joined(expected)}}}."
            )
    if sent - expected:
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {{{_joined(sent & expected)}}}. "
            f"Request input names: {{{_joined(sent)}}}."
        )
    return feeds


def _joined(names: set[str]) -> str:
    return ",".join(sorted(names))
