"""Turns the variables of a loaded session graph into constants, where that changes no answer."""

import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.core.framework import node_def_pb2, types_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.util import deprecation

# The only operations on resources and references that conversion replaces by constants.
_CONVERTED = {"VarHandleOp", "ReadVariableOp", "ResourceGather", "ResourceGatherNd", "Variable", "VariableV2"}
# A GraphDef is one protobuf message: less than 2 GiB with all of its constants.
_MAX_VARIABLE_BYTES = 1_900_000_000


def obstacle(session: tf1.Session, nodes: list[str]) -> str | None:
    """Why the graph that computes `nodes` cannot be frozen, or None if it can.

    Hash tables, counters and other resources live in the session that initialised them; a frozen copy would lose them.
    """
    graph_def = session.graph.as_graph_def()
    with deprecation.silence():
        used = tf1.graph_util.extract_sub_graph(graph_def, nodes)
    functions = {function.signature.name: list(function.node_def) for function in graph_def.library.function}
    for node in _reachable(list(used.node), functions):
        if node.op in functions or node.op in _CONVERTED:
            continue
        op = op_def_registry.get(node.op)
        if op is None:
            return f"operation {node.op} is not known here"
        if any(arg.type == types_pb2.DT_RESOURCE or arg.is_ref for arg in [*op.input_arg, *op.output_arg]):
            return f"operation {node.op} ({node.name}) holds state that is not a variable, or writes one"
    with session.graph.as_default():
        size = sum((variable.shape.num_elements() or 0) * variable.dtype.size for variable in tf1.global_variables())
    if size > _MAX_VARIABLE_BYTES:
        return f"its variables take {size} bytes; a frozen graph holds at most {_MAX_VARIABLE_BYTES}"
    return None


def freeze(session: tf1.Session, nodes: list[str]) -> tf.Graph:
    """The part of the session's graph that computes `nodes`, with the values of its variables as constants.

    Node names stay as they are, so that feeds and fetches of the signatures fit both graphs.
    """
    with session.graph.as_default(), deprecation.silence():
        frozen = tf1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), nodes)
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(frozen, name="")
    return graph


def _reachable(
    nodes: list[node_def_pb2.NodeDef], functions: dict[str, list[node_def_pb2.NodeDef]]
) -> list[node_def_pb2.NodeDef]:
    """`nodes` and the nodes of every function they call, directly or through others."""
    seen: set[str] = set()
    found, queue = [], list(nodes)
    while queue:
        node = queue.pop()
        found.append(node)
        called = {node.op}
        for attribute in node.attr.values():
            called.add(attribute.func.name)
            called.update(function.name for function in attribute.list.func)
        for name in called & functions.keys() - seen:
            seen.add(name)
            queue.extend(functions[name])
    return found
