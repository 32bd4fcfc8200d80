"""Turns small variables that no signature changes into constants, so that Grappler can fold them.

The constants stand in a second copy of the nodes, in the same graph and session. Large variables stay variables there,
shared by both copies: a constant is held by the graph, the session, Grappler and each executor, about eight times in
all, and what speeds a network up (batch normalisation, scales, biases) is small.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.util import deprecation

MAX_CONSTANT_BYTES = 16 << 10
"""Largest variable that becomes a constant: float32 scales of 4,096 channels."""
MAX_CONSTANTS_BYTES = 8 << 20
"""Most bytes of constants in a copy, those of the graph itself included."""

_VARIABLES = {"VarHandleOp", "Variable", "VariableV2"}
# The only operations on resources and references that conversion replaces by constants.
_CONVERTED = _VARIABLES | {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
# These take a resource and are not converted, but change no variable.
_CHANGES_NO_VARIABLE = re.compile(
    r"LookupTable|.*HashTable|InitializeTable|VariableShape|VarIsInitializedOp|TensorArray"
)
_PREFIX = "frozen"


@dataclasses.dataclass(frozen=True)
class Signature:
    """The tensors of one signature, by name (`node:0`)."""

    inputs: Sequence[str]
    outputs: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What `freeze` did.

    Attributes:
        outputs: frozen output tensor by the name of the loaded one, for each frozen signature.
        reasons: why the other signatures stay as they are, by name.
    """

    outputs: Mapping[str, Mapping[str, str]]
    reasons: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Used:
    """What a signature reaches: its variables (bytes by name), whether it may change one, what forbids a copy."""

    variables: Mapping[str, int]
    changes: bool
    obstacle: str | None


def freeze(session: tf1.Session, signatures: Mapping[str, Signature]) -> Frozen:
    """Adds frozen copies of the signatures to the session's graph.

    A signature that reads a variable which any signature changes is left alone, and so is one that holds other state.
    Feeds stay the tensors of the loaded graph.

    Args:
        session: holds the loaded graph and the values of its variables.
        signatures: every signature that can be run, also those that are not to be frozen.
    """
    graph_def = session.graph.as_graph_def()
    used = {name: _use(graph_def, signature) for name, signature in signatures.items()}
    changed = {variable for use in used.values() if use.changes for variable in use.variables}
    reasons: dict[str, str] = {}
    for name, use in used.items():
        shared = sorted(changed & use.variables.keys())
        if use.obstacle is not None:
            reasons[name] = use.obstacle
        elif shared:
            reasons[name] = f"a signature changes variable {shared[0]}"
        elif not any(size <= MAX_CONSTANT_BYTES for size in use.variables.values()):
            reasons[name] = "it reads no small variable"
    chosen = {name: signature for name, signature in signatures.items() if name not in reasons}
    if not chosen:
        return Frozen({}, reasons)
    constants = _smallest({variable: size for name in chosen for variable, size in used[name].variables.items()})
    try:
        outputs = _copy(session, graph_def, chosen, constants)
    except (ValueError, KeyError, tf.errors.OpError) as error:
        # The converter does not know every graph; such a model is served as it was loaded.
        return Frozen({}, reasons | dict.fromkeys(chosen, f"its variables cannot be converted: {error}"))
    return Frozen({name: {tensor: outputs[tensor] for tensor in chosen[name].outputs} for name in chosen}, reasons)


def _use(graph_def: graph_pb2.GraphDef, signature: Signature) -> _Used:
    with deprecation.silence():
        graph = tf1.graph_util.extract_sub_graph(graph_def, sorted(_nodes(signature.outputs)))
    functions = {function.signature.name: list(function.node_def) for function in graph_def.library.function}
    nodes = _reachable(list(graph.node), functions)
    obstacle, changes = None, False
    for node in nodes:
        if node.op in functions or node.op in _CONVERTED:
            continue
        if not _known(node.op):
            obstacle, changes = f"operation {node.op} is not known here", True
        elif _takes_state(node.op):
            obstacle = f"operation {node.op} ({node.name}) holds state that is not a variable, or writes one"
            changes = changes or not _CHANGES_NO_VARIABLE.match(node.op)
    held = sum(node.attr["value"].tensor.ByteSize() for node in nodes if node.op == "Const")
    if obstacle is None and held > MAX_CONSTANTS_BYTES:
        obstacle = f"its graph holds {held} bytes of constants, which a copy would double"
    return _Used({_identity(node): _size(node) for node in nodes if node.op in _VARIABLES}, changes, obstacle)


@functools.cache
def _known(operation: str) -> bool:
    return op_def_registry.get(operation) is not None


@functools.cache
def _takes_state(operation: str) -> bool:
    definition = op_def_registry.get(operation)
    arguments = [*definition.input_arg, *definition.output_arg]
    return any(argument.type == types_pb2.DT_RESOURCE or argument.is_ref for argument in arguments)


def _identity(variable: node_def_pb2.NodeDef) -> str:
    """What a variable is called in the session: nodes of one shared name are one variable."""
    return variable.attr["shared_name"].s.decode() or variable.name


def _size(variable: node_def_pb2.NodeDef) -> int:
    shape = tf.TensorShape(variable.attr["shape"].shape)
    dtype = tf.as_dtype(variable.attr["dtype"].type)
    if not shape.is_fully_defined() or not dtype.size:
        return MAX_CONSTANT_BYTES + 1
    return math.prod(shape.as_list()) * dtype.size


def _smallest(sizes: Mapping[str, int]) -> set[str]:
    """The variables that become constants: the smallest, as many as the two limits allow."""
    chosen, total = set(), 0
    for name, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
        total += size
        if size > MAX_CONSTANT_BYTES or total > MAX_CONSTANTS_BYTES:
            break
        chosen.add(name)
    return chosen


def _copy(
    session: tf1.Session, graph_def: graph_pb2.GraphDef, signatures: Mapping[str, Signature], constants: set[str]
) -> dict[str, str]:
    """Imports the copy; returns its output tensors by the names of the loaded ones."""
    outputs = {tensor for signature in signatures.values() for tensor in signature.outputs}
    inputs = {tensor for signature in signatures.values() for tensor in signature.inputs}
    kept = [node.name for node in graph_def.node if node.op in _VARIABLES and _identity(node) not in constants]
    with session.graph.as_default(), deprecation.silence():
        frozen = tf1.graph_util.convert_variables_to_constants(
            session, graph_def, sorted(_nodes(outputs)), variable_names_blacklist=kept
        )
    copied = {node.name for node in frozen.node}
    # Inputs and variables are those of the loaded graph: one feed serves both, and each variable exists once.
    shared = {tensor for tensor in inputs if tensor.partition(":")[0] in copied}
    shared |= {f"{name}:0" for name in kept if name in copied}
    originals = {tensor: session.graph.get_tensor_by_name(tensor) for tensor in shared}
    awaited = {source for node in frozen.node for source in node.input if source.startswith("^")}
    for tensor in list(originals.values()):
        if f"^{tensor.op.name}" in awaited:
            originals[f"^{tensor.op.name}"] = tensor.op
    with session.graph.as_default():
        tf.import_graph_def(frozen, input_map=originals, name=_PREFIX)
    return {tensor: tensor if tensor in originals else f"{_PREFIX}/{tensor}" for tensor in outputs}


def _nodes(tensors: Iterable[str]) -> set[str]:
    return {tensor.partition(":")[0] for tensor in tensors}


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
