"""The graph and the functions of a SavedModel as places and nodes: who calls what, and where a path comes from.

Nothing of it is run. What cannot be followed counts as coming from elsewhere.
"""

import collections
import functools
from collections.abc import Iterable, Iterator

from tensorflow.core.framework import attr_value_pb2, function_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

Place = str
"""The name of a function; "" is the main graph."""
MAIN: Place = ""

_MAX_STEPS = 200_000
"""For all paths of a graph together; a path takes a few dozen."""
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}
_LEAVE_A_VARIABLE = {"ReadVariableOp", "VarIsInitializedOp", "VariableShape", "DestroyResourceOp"}


def node_name(reference: str) -> str:
    """The node that `reference` ("node", "node:0", "node:output:0" or "^node") names."""
    return reference.removeprefix("^").partition(":")[0]


class Graph:
    """A meta graph.

    Args:
        meta_graph: as it was saved.
        assets: nodes of the main graph that stand for the path of an asset.
        prefix: node of the main graph that stands for the path of the checkpoint.

    Attributes:
        functions: FunctionDef by name.
        ambiguous: names that two functions, or two nodes of one place, have.
    """

    def __init__(self, meta_graph: meta_graph_pb2.MetaGraphDef, assets: set[str], prefix: str):
        self._assets, self._prefix = assets, prefix
        self._steps = 0
        library = meta_graph.graph_def.library
        self.functions: dict[str, function_pb2.FunctionDef] = {f.signature.name: f for f in library.function}
        self._bodies: dict[Place, list[node_def_pb2.NodeDef]] = {MAIN: list(meta_graph.graph_def.node)}
        self._bodies |= {name: list(function.node_def) for name, function in self.functions.items()}
        self._nodes = {place: {node.name: node for node in body} for place, body in self._bodies.items()}
        self._args = {name: [arg.name for arg in f.signature.input_arg] for name, f in self.functions.items()}
        self.ambiguous = _doubles([f.signature.name for f in library.function])
        for place, body in self._bodies.items():
            args = self._args.get(place, [])
            if len(self._nodes[place].keys() | set(args)) < len(body) + len(args):
                self.ambiguous += _doubles([*args, *(node.name for node in body)])
        self._bound = _bound_inputs(meta_graph)
        self._mentioned = set(_gradients(library))
        self._callers: dict[str, list[tuple[Place, node_def_pb2.NodeDef]]] = collections.defaultdict(list)
        self._handles: dict[str, int] = collections.Counter()
        for place, node in self.places():
            operation = node.op
            called, texts = _named_in(node.attr.values())
            for name in {*called, operation} & self.functions.keys():
                self._callers[name].append((place, node))
            self._mentioned.update(texts)
            if operation == "VarHandleOp":
                self._handles[_shared_name(node)] += 1
        for name, function in self.functions.items():
            self._mentioned.update(_named_in(function.attr.values())[1])
            if "api_implements" in function.attr:  # Grappler puts one such function in place of another
                self._mentioned.add(name)

    def places(self) -> Iterator[tuple[Place, node_def_pb2.NodeDef]]:
        """Every node, with the place it stands in."""
        for place, body in self._bodies.items():
            for node in body:
                yield place, node

    def upstream(self, references: Iterable[str]) -> set[str]:
        """Names of the nodes of the main graph that run when `references` are asked for."""
        found: set[str] = set()
        queue = [node_name(reference) for reference in references]
        while queue:
            name = queue.pop()
            if name in self._nodes[MAIN] and name not in found:
                found.add(name)
                queue.extend(node_name(reference) for reference in self._nodes[MAIN][name].input)
        return found

    def entries(self, place: Place, node: node_def_pb2.NodeDef) -> tuple[set[str], bool, bool]:
        """How a node can come to run.

        Returns:
            The nodes of the main graph that run it, directly or by calls; whether one of the functions around it
            belongs to an object that Python loads; whether one is named in some other way (a gradient, an attribute).
        """
        if place == MAIN:
            return {node.name}, False, False
        around, queue, entries = {place}, [place], set()
        while queue:
            for caller, calling in self._callers[queue.pop()]:
                if caller == MAIN:
                    entries.add(calling.name)
                elif caller not in around:
                    around.add(caller)
                    queue.append(caller)
        return entries, bool(around & self._bound.keys()), bool(around & self._mentioned)

    def origins(self, place: Place, reference: str) -> set[str]:
        """Where a string comes from: of "asset", "prefix" and "elsewhere", those that may be; empty if never made."""
        found: set[str] = set()
        seen: set[tuple[Place, str]] = set()
        queue = [(place, node_name(reference))]
        while queue:
            place, name = queue.pop()
            if (place, name) in seen:
                continue
            seen.add((place, name))
            self._steps += 1
            if self._steps > _MAX_STEPS:
                return {"elsewhere"}
            node = self._nodes[place].get(name)
            if place != MAIN and name in self._args[place]:
                sources, known = self._argument_sources(place, self._args[place].index(name))
                queue.extend(sources)
                found |= known
            elif node is None:
                found.add("elsewhere")
            elif (
                place == MAIN and name in self._assets and node.op in ("Placeholder", "PlaceholderWithDefault", "Const")
            ):
                found.add("asset")
            elif (
                place == MAIN and name == self._prefix and node.op in ("Placeholder", "PlaceholderWithDefault", "Const")
            ):
                found.add("prefix")
            elif node.op == "Identity" and node.input:
                queue.append((place, node_name(node.input[0])))
            elif place == MAIN and node.op == "ReadVariableOp" and node.input:
                values = self._assigned(node_name(node.input[0]))
                queue.extend((MAIN, value) for value in values or ())
                found |= set() if values else {"elsewhere"}
            elif place == MAIN and node.op == "PlaceholderWithDefault" and node.input:
                queue.append((place, node_name(node.input[0])))
            else:
                found.add("elsewhere")
        return found

    def _argument_sources(self, function: Place, index: int) -> tuple[list[tuple[Place, str]], set[str]]:
        """What callers give as an argument, and what is known of it without them."""
        sources, known = [], set()
        for caller, node in self._callers[function]:
            given = [reference for reference in node.input if not reference.startswith("^")]
            plain = node.op == function or (node.op in _CALLS and node.attr["f"].func.name == function)
            if plain and index < len(given):
                sources.append((caller, node_name(given[index])))
            else:
                known.add("elsewhere")
        if function in self._bound:
            bound = self._bound[function]
            captured = index - (len(self._args[function]) - len(bound))  # captures follow the arguments
            known.add("asset" if captured >= 0 and bound[captured] else "elsewhere")
        return sources, known

    @functools.cached_property
    def _consumers(self) -> dict[str, list[node_def_pb2.NodeDef]]:
        found = collections.defaultdict(list)
        for node in self._bodies[MAIN]:
            for name in {node_name(reference) for reference in node.input if not reference.startswith("^")}:
                found[name].append(node)
        return found

    def _assigned(self, name: str) -> list[str] | None:
        """The nodes whose values a variable of the main graph may hold; None if that cannot be told."""
        variable = self._nodes[MAIN].get(name)
        if variable is None or variable.op != "VarHandleOp" or self._handles[_shared_name(variable)] != 1:
            return None
        values = []
        for node in self._consumers.get(name, ()):
            if node.op == "AssignVariableOp" and len(node.input) > 1 and node_name(node.input[1]) != name:
                values.append(node_name(node.input[1]))
            elif node.op not in _LEAVE_A_VARIABLE:
                return None
        return values


def _doubles(names: list[str]) -> list[str]:
    return [name for name, count in collections.Counter(names).items() if count > 1]


def _shared_name(node: node_def_pb2.NodeDef) -> str:
    return node.attr["shared_name"].s.decode(errors="replace") or node.name


def _bound_inputs(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, list[bool]]:
    """For each function of an object: its captured inputs, and of each whether it is an asset's path."""
    objects = meta_graph.object_graph_def
    bound = {
        name: [
            0 <= i < len(objects.nodes) and objects.nodes[i].WhichOneof("kind") == "asset" for i in saved.bound_inputs
        ]
        for name, saved in objects.concrete_functions.items()
    }
    for node in objects.nodes:
        for name in (*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name):
            bound.setdefault(name, [])
    return bound


def _named_in(attributes: Iterable[attr_value_pb2.AttrValue]) -> tuple[list[str], list[str]]:
    """The functions that attributes call, and what they hold as text: it may be the name of a function, too."""
    functions: list[str] = []
    texts: list[bytes] = []
    queue = list(attributes)
    while queue:
        attribute = queue.pop()
        kind = attribute.WhichOneof("value")
        if kind == "s":
            texts.append(attribute.s)
        elif kind == "func" or kind == "list":
            texts.extend(attribute.list.s)
            for function in (attribute.func,) if kind == "func" else attribute.list.func:
                functions.append(function.name)
                queue.extend(function.attr.values())
    return functions, [text.decode(errors="replace") for text in texts]


def _gradients(library: function_pb2.FunctionDefLibrary) -> Iterator[str]:
    """Functions that stand for the gradient of something."""
    for gradient in library.gradient:
        yield from (gradient.function_name, gradient.gradient_func)
    for registered in library.registered_gradients:
        yield registered.gradient_func
