"""What Grappler need not do to a graph that only computes: a third to a half of the time of a new executor's making."""

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2


def spare(config: tf.compat.v1.ConfigProto) -> None:
    """Leaves out of a session's optimizations what makes no run faster, and changes no bit of what it gives."""
    options = config.graph_options.rewrite_options
    # It recomputes and swaps for training.
    options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    # Its passes in MLIR convert all functions and convert them back.
    options.disable_tfg_optimizer = True
    # A second round finds next to nothing (python -m benchmarks.serving).
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
