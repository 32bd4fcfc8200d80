"""Runs a function with its variables frozen to constants, one caller thread a core.

The fast way through a backbone on a CPU: constants let Grappler fold batch normalisation into convolutions and drop the
reads of variables; a session of its own with one intra-op thread keeps callers from fighting over cores (batches run
side by side, each on one core).
"""

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import convert_to_constants

from graft.models import grappler
from graft.models.errors import GraftError


class FrozenRunner:
    """A concrete function as a frozen graph in its own session.

    Args:
        concrete_function: takes and returns tensors; returns one tensor (then called "output") or a dict of tensors.
            What owns its variables must live until the runner is made, not longer.
        callers: batches that `map` runs side by side; by default one for each core this process may use, or 2 with a
            GPU (one computes while the other is fed).

    Raises:
        GraftError: if the function captures something that cannot become a constant, such as a hash table.
    """

    def __init__(self, concrete_function: tf.types.experimental.ConcreteFunction, *, callers: int | None = None):
        has_gpu = bool(tf.config.list_physical_devices("GPU"))
        self.callers = callers or (2 if has_gpu else len(os.sched_getaffinity(0)))
        graph_def, inputs = _frozen(concrete_function)
        held = [tensor.name for tensor in inputs if tensor.dtype in (tf.resource, tf.variant)]
        if held:
            raise GraftError(
                f"the function {concrete_function.name!r} captures {', '.join(held)}, which cannot be frozen to "
                "constants; only variables can: move hash tables and iterators out of the graph"
            )
        self.input_names = _input_names(concrete_function)
        self.output_names = _output_names(concrete_function)
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(graph_def, name="")
        config = tf.compat.v1.ConfigProto(use_per_session_threads=True, allow_soft_placement=True)
        grappler.spare(config)
        if has_gpu:
            config.gpu_options.allow_growth = True
        else:
            config.intra_op_parallelism_threads = 1
            config.inter_op_parallelism_threads = self.callers
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        self._run = self._session.make_callable(
            fetches=[tensor.name for tensor in concrete_function.outputs], feed_list=[tensor.name for tensor in inputs]
        )
        self._pool = concurrent.futures.ThreadPoolExecutor(self.callers, thread_name_prefix="frozen")

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs one batch; may be called from several threads at once.

        Args:
            **inputs: one array for each name in `input_names`.

        Returns:
            One array for each name in `output_names`.

        Raises:
            GraftError: if the names are not those of the function.
            tf.errors.OpError: if the graph fails on these values.
        """
        if set(inputs) != set(self.input_names):
            raise GraftError(f"inputs must be {', '.join(self.input_names)}; received {', '.join(inputs) or 'none'}")
        return dict(zip(self.output_names, self._run(*(inputs[name] for name in self.input_names)), strict=True))

    def map(
        self, batches: Iterable[Mapping[str, np.ndarray]], progress: Callable[[int], None] | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Runs many batches, `callers` at a time.

        Reads at most `2 * callers` batches ahead of what was taken from it.

        Args:
            batches: the inputs of each call.
            progress: called, in the consumer's thread, with the number of rows of each batch that is done.

        Yields:
            The outputs of each batch, in the order of `batches`.

        Raises:
            Exception: the first error of any batch, as soon as it is noticed.
        """
        source = iter(batches)
        pending: collections.deque[concurrent.futures.Future] = collections.deque()
        try:
            while True:
                while len(pending) < 2 * self.callers and (batch := next(source, None)) is not None:
                    pending.append(self._pool.submit(self, **batch))
                if not pending:
                    return
                while not pending[0].done():
                    waiting = [future for future in pending if not future.done()]
                    concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                    _raise_first_error(pending)
                result = pending.popleft().result()
                if progress is not None:
                    progress(len(next(iter(result.values()))))
                yield result
        finally:
            for future in pending:
                future.cancel()

    def close(self) -> None:
        """Ends the threads and frees the graph; calls under way are finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._session.close()

    def __enter__(self) -> "FrozenRunner":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _frozen(
    function: tf.types.experimental.ConcreteFunction,
) -> tuple[tf.compat.v1.GraphDef, list[tf.Tensor]]:
    """The graph with constants for variables, and which of the function's inputs remain.

    `convert_variables_to_constants_v2` without its last step, which makes a function of the graph again: nine tenths
    of its time, and a session needs the graph only.
    """
    data = convert_to_constants._FunctionConverterDataInEager(
        func=function, lower_control_flow=True, aggressive_inlining=False
    )
    graph_def, converted = convert_to_constants._replace_variables_by_constants(converter_data=data)
    captures = function.graph.internal_captures
    gone = {id(captures[index]) for index in converted}
    return graph_def, [tensor for tensor in function.inputs if id(tensor) not in gone]


def _raise_first_error(futures: Iterable[concurrent.futures.Future]) -> None:
    for future in futures:
        if future.done() and (error := future.exception()) is not None:
            raise error


def _input_names(function: tf.types.experimental.ConcreteFunction) -> list[str]:
    """Argument names in the order of the function's own tensors (positional, then keywords sorted by name)."""
    specs = [s for s in tf.nest.flatten(function.structured_input_signature) if isinstance(s, tf.TypeSpec)]
    return [spec.name for spec in specs]


def _output_names(function: tf.types.experimental.ConcreteFunction) -> list[str]:
    outputs = function.structured_outputs
    if isinstance(outputs, Mapping):
        return sorted(outputs)
    if isinstance(outputs, (tf.Tensor, tf.TypeSpec)):
        return ["output"]
    raise GraftError(f"the function must return one tensor or a dict of tensors; it returns {outputs!r}")
