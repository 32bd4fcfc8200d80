"""How many nodes and objects a saved_model.pb holds, counted before it is parsed.

An empty node is two bytes in the file and some hundred in memory, so that 30 MB can fill 10 GB. Parsed as messages
whose parts are plain bytes, level by level, the same file takes eight times its size at most.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Field numbers of saved_model.proto, meta_graph.proto, graph.proto, function.proto and saved_object_graph.proto.
_META_GRAPHS, _GRAPH, _OBJECT_GRAPH = 2, 2, 7
_NODES, _LIBRARY, _FUNCTIONS, _BODY = 1, 2, 1, 3
_OBJECTS = 1
_NUMBERS = (1, 2, 3, 7)


def _parts_message() -> Any:
    """A message of which some fields are known, as repeated bytes: what stands twice is merged, and counts twice."""
    file = descriptor_pb2.FileDescriptorProto(name="graft_parts.proto", package="graft")
    message = file.message_type.add(name="Parts")
    for number in _NUMBERS:
        message.field.add(
            name=f"part{number}",
            number=number,
            type=descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("graft.Parts"))


_Parts = _parts_message()


def count_parts(encoded: bytes) -> int:
    """Nodes, functions and objects in an encoded SavedModel.

    Raises:
        google.protobuf.message.DecodeError: it is no message.
    """
    total = 0
    for meta_graph in _parts(encoded, _META_GRAPHS):
        for graph in _parts(meta_graph, _GRAPH):
            total += _count(graph, _NODES)
            for library in _parts(graph, _LIBRARY):
                total += _count(library, _FUNCTIONS)
                total += sum(_count(function, _BODY) for function in _parts(library, _FUNCTIONS))
        total += sum(_count(objects, _OBJECTS) for objects in _parts(meta_graph, _OBJECT_GRAPH))
    return total


def _parsed(encoded: bytes, number: int) -> Any:
    found = _Parts()
    found.ParseFromString(encoded)
    return getattr(found, f"part{number}")


def _parts(encoded: bytes, number: int) -> Iterator[bytes]:
    yield from _parsed(encoded, number)


def _count(encoded: bytes, number: int) -> int:
    return len(_parsed(encoded, number))
