"""Values of images that somebody else decoded."""

import numpy as np
import pytest
import tensorflow as tf
from small_inputs import pictures, texts
from tensorflow.core.protobuf import config_pb2

pytestmark = pytest.mark.graph

TAKES = pictures((8, 12), (-1.0, 1.0))


@pytest.fixture(scope="module")
def graph():
    """As a session of the server runs it: whatever the signature says of the shape, the session takes any."""

    @tf.function(input_signature=[TAKES.values.spec], autograph=False)
    def prepared(values):
        return TAKES.values.prepare(values)

    definition = prepared.get_concrete_function().graph.as_graph_def()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        [given] = [node.name for node in definition.node if node.op == "Placeholder"]
        out = prepared.get_concrete_function().graph.outputs[0]
        options = config_pb2.CallableOptions(feed=[f"{given}:0"], fetch=[out.name])
        call = session._make_callable_from_options(options)
        yield lambda values: call(np.asarray(values, np.float32))[0]


def test_black_and_white_become_the_ends_of_the_range(graph):
    values = np.zeros((2, 8, 12, 3), np.float32)
    values[1] = 1
    found = graph(values)
    assert (found[0] == -1).all() and (found[1] == 1).all() and found.shape == (2, 8, 12, 3)
    assert graph(values[:0]).shape == (0, 8, 12, 3)
    assert graph(np.full((1, 8, 12, 3), 1.0005)).max() > 1, "rounding"


@pytest.mark.parametrize(
    "shape", [(1, 12, 8, 3), (1, 8, 12, 1), (1, 8, 12, 4), (8, 12, 3), (2, 4, 12, 3), (1, 0, 12, 3), ()]
)
def test_another_shape_is_refused(graph, shape):
    told = r"pixels must be float32 \[n, 8, 12, 3\], RGB values from 0 to 1; the shape is"
    with pytest.raises(tf.errors.InvalidArgumentError, match=told):
        graph(np.zeros(shape))


@pytest.mark.parametrize("value", [255, -0.5, 1.1, np.nan, np.inf])
def test_other_values_are_refused(graph, value):
    values = np.full((2, 8, 12, 3), 0.5)
    values[1, 2, 3, 1] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match="the least and the largest value are"):
        graph(values)


def test_a_text_has_none():
    assert TAKES.values.signature == "serving_pixels" and TAKES.values.spec.name == TAKES.values.name
    assert texts().values is None
