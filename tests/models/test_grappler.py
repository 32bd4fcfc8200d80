"""Passes that are left out: what a session gives stays the same, to the bit."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.python.eager import context

from graft.models import grappler


def test_a_session_gives_the_same_bits():
    rng = np.random.default_rng(0)
    with tf.Graph().as_default() as graph:
        inputs = tf1.placeholder(tf.float32, [None, 8, 8, 3])
        maps = tf.nn.conv2d(inputs, rng.normal(size=(3, 3, 3, 4)).astype(np.float32), 1, "SAME")
        maps, _, _ = tf1.nn.fused_batch_norm(
            maps, *rng.random((4, 4)).astype(np.float32) + 0.5, is_training=False, epsilon=1e-3
        )
        outputs = tf.nn.softmax(tf.reduce_mean(tf.nn.relu(maps), [1, 2]))
    images = rng.random((5, 8, 8, 3), dtype=np.float32)
    given = []
    for less in (False, True):
        config = tf1.ConfigProto()
        if less:
            grappler.spare(config)
        assert config.graph_options.rewrite_options.disable_tfg_optimizer is less
        with tf1.Session(graph=graph, config=config) as session:
            given.append(session.run(outputs, {inputs: images}))
    np.testing.assert_array_equal(*given)
    assert given[0].std() > 0.01


@pytest.mark.parametrize("given", [{}, {"disable_meta_optimizer": True}])
def test_within_left_out_nothing_is_rewritten(given):
    def nodes() -> set[str]:
        @tf.function
        def doubled(values):
            return tf.transpose(tf.transpose(values)) * 2.0  # of which Grappler leaves the product

        context.enable_graph_collection()
        try:
            doubled(tf.ones([2, 3]))
            return {node.op for graph in context.export_run_metadata().partition_graphs for node in graph.node}
        finally:
            context.disable_graph_collection()

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **given})
    try:
        assert ("Transpose" in nodes()) is bool(given)
        with pytest.raises(ZeroDivisionError), grappler.left_out():
            assert "Transpose" in nodes()
            raise ZeroDivisionError
        assert ("Transpose" in nodes()) is bool(given)
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
