"""What a SavedModel would do besides computing, found in its file before TensorFlow loads it.

A SavedModel is a program: TensorFlow runs its initialisers and its restore operation while it loads it, and its
signatures when they are called. Its operations must be those of `models.allowed_operations`. Three kinds touch files in
every SavedModel, and are allowed only where the loader says which file:

- what writes a checkpoint, where neither a signature nor the loader reaches it;
- what restores a checkpoint, in the restore operation, of the path that the loader feeds;
- what reads a table from a text file, in an initialiser, of an asset of the SavedModel.
"""

import pathlib
from collections.abc import Iterable, Iterator, Sequence

from google.protobuf import message, text_format

from graft.models import deferred
from graft.models.allowed_operations import ALLOWED, READS_CHECKPOINT, READS_TABLE, WRITES_CHECKPOINT
from graft.models.errors import GraftError

with deferred.parts_alone("tensorflow"):  # the whole takes two seconds
    from tensorflow.core.framework import node_def_pb2, types_pb2, variable_pb2
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    from graft.models.saved_model_graph import Graph, Place, node_name
    from graft.models.saved_model_size import count_parts

MAX_GRAPH_BYTES = 128 << 20
"""Largest saved_model.pb that is read; weights lie beside it. Parsed, it may take twenty times as much memory."""
MAX_PARTS = 1_000_000
"""Most nodes, functions and objects; a large network with its gradients has a tenth of it."""

_SHOWN = 3
_INIT_OP = "__saved_model_init_op"
_MAX_ON_FILES = 1000  # each is followed through the graph; a model has a few
_TYPE = {"Const": "dtype", "ParseTensor": "out_type"}
_HANDLES = (types_pb2.DT_RESOURCE, types_pb2.DT_RESOURCE_REF)
_PATH_INPUT = dict.fromkeys(READS_CHECKPOINT, 0) | dict.fromkeys(READS_TABLE, 1)


def require_allowed(folder: pathlib.Path, what: str, advice: str) -> None:
    """Refuses a SavedModel that would do more than compute.

    Args:
        folder: that of the SavedModel.
        what: how the message begins.
        advice: how the message ends: what to do if it is trusted.

    Raises:
        GraftError: it does, or its file cannot be read.
    """
    faults = find_faults(folder)
    if faults:
        raise GraftError(f"{what} {summary(faults)}; {advice}")


def summary(faults: Sequence[str]) -> str:
    """A phrase that names the first of what `find_faults` found."""
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return f"does more than compute: {', '.join(faults[:_SHOWN])}{more}"


def find_faults(folder: pathlib.Path) -> list[str]:
    """What a SavedModel would do besides computing, a phrase for each; empty if nothing.

    Raises:
        GraftError: its file cannot be read.
    """
    faults: dict[str, None] = {}
    for meta_graph in read_saved_model(folder).meta_graphs:
        faults |= dict.fromkeys(_asset_faults(folder, meta_graph))
        faults |= dict.fromkeys(_graph_faults(meta_graph))
    return list(faults)


def read_saved_model(folder: pathlib.Path) -> saved_model_pb2.SavedModel:
    """The protocol buffer that TensorFlow would load from `folder`: saved_model.pb, else saved_model.pbtxt.

    Raises:
        GraftError: there is none, it is damaged, or larger than `MAX_GRAPH_BYTES`.
    """
    if (folder / "saved_model.cpb").exists():
        raise GraftError(f"{folder}: cannot be read: saved_model.cpb (a graph in pieces); allowed: saved_model.pb")
    path = folder / "saved_model.pb"
    path = path if path.exists() else folder / "saved_model.pbtxt"
    found = saved_model_pb2.SavedModel()
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MAX_GRAPH_BYTES:
            raise GraftError(
                f"{path}: cannot be read: {size} bytes; a graph is a plain file of at most {MAX_GRAPH_BYTES} bytes"
            )
        content = path.read_bytes()
        if path.suffix == ".pb":
            parts = count_parts(content)
            if parts > MAX_PARTS:
                raise GraftError(f"{path}: cannot be read: {parts} nodes and objects; allowed: {MAX_PARTS}")
            found.ParseFromString(content)
        else:
            text_format.Parse(content.decode(), found)
    except OSError as error:
        raise GraftError(f"{path}: cannot be read: {error.strerror}") from error
    except (message.DecodeError, text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise GraftError(f"{path}: cannot be read: it is no SavedModel or damaged ({error})") from error
    return found


def _asset_faults(folder: pathlib.Path, meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    inside = folder.resolve() / "assets"
    for asset in _assets(meta_graph):
        named = f"the asset {asset.filename[:200]!r}"
        try:
            path = (inside / asset.filename).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # a NUL, a name too long, links in a circle
            yield f"{named} ({error})"
            continue
        if not path.is_relative_to(inside) or "://" in asset.filename:
            yield f"{named} lies outside of its folder"
        elif path.exists() and not path.is_file():
            yield f"{named} is no plain file"


def _assets(meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[meta_graph_pb2.AssetFileDef]:
    yield from meta_graph.asset_file_def
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:  # until TensorFlow 1.14
        asset = meta_graph_pb2.AssetFileDef()
        if packed.Unpack(asset):
            yield asset


def _graph_faults(meta_graph: meta_graph_pb2.MetaGraphDef) -> Iterator[str]:
    graph = Graph(
        meta_graph,
        assets={node_name(asset.tensor_info.name) for asset in _assets(meta_graph)},
        prefix=node_name(meta_graph.saver_def.filename_tensor_name),
    )
    for name in graph.ambiguous:
        yield f"{name[:200]!r} is there twice"
    for name in graph.functions:
        if op_def_registry.get(name) is not None:
            yield f"its function {name!r} is called like an operation of TensorFlow"
    reach = _Reach(meta_graph, graph)
    on_files = 0
    for place, node in graph.places():
        operation = node.op
        if operation in WRITES_CHECKPOINT or operation in _PATH_INPUT:
            on_files += 1
            if on_files > _MAX_ON_FILES:
                yield f"more than {_MAX_ON_FILES} operations on files"
                return
            if not _is_in_order(place, node, graph, reach):
                yield _named(place, node)
        elif operation not in ALLOWED and operation not in graph.functions:
            yield _named(place, node)
        elif operation in _TYPE and node.attr[_TYPE[operation]].type in _HANDLES:
            # Written in the file, it may be the handle of a variable or table that is somebody else's.
            yield _named(place, node)


class _Reach:
    """Which nodes of the main graph the signatures, the initialisers and the restore operation run."""

    def __init__(self, meta_graph: meta_graph_pb2.MetaGraphDef, graph: Graph):
        signatures: set[str] = set()
        initialisers: set[str] = set()
        for key, signature in meta_graph.signature_def.items():
            names = {
                name for info in (*signature.inputs.values(), *signature.outputs.values()) for name in _names(info)
            }
            # An initialiser is an operation ("NoOp"); a tensor ("NoOp:0") can be asked for by clients too.
            if key == _INIT_OP:
                initialisers.update(names)
                names = {name for name in names if ":" in name}
            signatures.update(names)
        for collection in meta_graph.collection_def.values():
            initialisers.update(collection.node_list.value)
            initialisers.update(_initialisers(collection.bytes_list.value))
        self.signatures = graph.upstream(signatures)
        self.initialisers = graph.upstream(initialisers)
        self.restore = graph.upstream([meta_graph.saver_def.restore_op_name])


def _names(info: meta_graph_pb2.TensorInfo) -> Iterator[str]:
    yield info.name
    sparse = info.coo_sparse
    yield from (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
    for component in info.composite_tensor.components:
        yield from _names(component)


def _initialisers(variables: Iterable[bytes]) -> Iterator[str]:
    for encoded in variables:
        variable = variable_pb2.VariableDef()
        try:
            variable.ParseFromString(encoded)
        except message.DecodeError:  # a collection of something else
            continue
        yield from (variable.initializer_name, variable.snapshot_name, variable.initial_value_name)


def _is_in_order(place: Place, node: node_def_pb2.NodeDef, graph: Graph, reach: _Reach) -> bool:
    """Whether an operation on files stands where the loader says which file; see the head of this module."""
    entries, callable_by_name, mentioned = graph.entries(place, node)
    if mentioned:
        return False
    called = bool(entries & reach.signatures)
    if node.op in WRITES_CHECKPOINT:
        return not (called or callable_by_name or entries & (reach.initialisers | reach.restore))
    if node.op in READS_CHECKPOINT:
        if called or callable_by_name or entries & reach.initialisers:
            return False
        origin, runs = "prefix", bool(entries & reach.restore)
    else:
        if called or entries & reach.restore:  # there nobody feeds the asset's path
            return False
        origin, runs = "asset", callable_by_name or bool(entries & reach.initialisers)
    index = _PATH_INPUT[node.op]
    return not runs or (len(node.input) > index and graph.origins(place, node.input[index]) <= {origin})


def _named(place: Place, node: node_def_pb2.NodeDef) -> str:
    where = f" of function {place[:100]!r}" if place else ""
    operation = node.op[:100] if node.op.isidentifier() else repr(node.op[:100])
    return f"{operation} (node {node.name[:100]!r}{where})"
