"""What Grappler need not do to a graph that only computes: a third to a half of the time of a new executor's making."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2

_NONE = "disable_meta_optimizer"


def spare(config: tf.compat.v1.ConfigProto) -> None:
    """Leaves out of a session's optimizations what makes no run faster, and changes no bit of what it gives."""
    options = config.graph_options.rewrite_options
    # It recomputes and swaps for training.
    options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    # Its passes in MLIR convert all functions and convert them back.
    options.disable_tfg_optimizer = True
    # A second round finds next to nothing (python -m benchmarks.serving).
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within it functions run as they were traced: one that runs once is optimized for longer than it runs."""
    given = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({_NONE: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_NONE: given.get(_NONE, False)})
