"""What a graph would take is counted before it is parsed."""

import pytest
from google.protobuf import message
from hostile_models import save
from tensorflow.core.protobuf import saved_model_pb2

from graft.models import saved_model_check
from graft.models.errors import GraftError
from graft.models.saved_model_check import find_faults
from graft.models.saved_model_size import count_parts


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of the wire format."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_nodes_functions_and_objects_count(tmp_path):
    encoded = (save(tmp_path, "nested function", lambda: None) / "saved_model.pb").read_bytes()
    proto = saved_model_pb2.SavedModel.FromString(encoded)
    (meta_graph,) = proto.meta_graphs
    functions = meta_graph.graph_def.library.function
    expected = len(meta_graph.graph_def.node) + len(meta_graph.object_graph_def.nodes) + len(functions)
    assert count_parts(encoded) == expected + sum(len(function.node_def) for function in functions)


def test_what_stands_twice_is_merged_and_counts_twice():
    """Protocol buffers merge a message that comes in pieces."""
    graph = field(2, field(1, b"") * 3)
    assert count_parts(field(2, graph * 2)) == 6
    assert len(saved_model_pb2.SavedModel.FromString(field(2, graph * 2)).meta_graphs[0].graph_def.node) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoded",
    [
        field(2, field(2, field(1, b"") * 2_000_000)),
        field(2, field(2, field(2, field(1, b"") * 2_000_000))),
        field(2, field(2, field(2, field(1, field(3, b"") * 2_000_000)))),
        field(2, field(7, field(1, b"") * 2_000_000)),
    ],
    ids=["nodes", "functions", "nodes of a function", "objects"],
)
def test_a_bomb_is_not_parsed(tmp_path, monkeypatch, encoded):
    (tmp_path / "saved_model.pb").write_bytes(encoded)
    monkeypatch.setattr(saved_model_check.saved_model_pb2.SavedModel, "ParseFromString", None, raising=False)
    with pytest.raises(GraftError, match=r"cannot be read: \d+ nodes and objects; allowed: 1000000"):
        find_faults(tmp_path)


def test_what_is_no_message():
    with pytest.raises(message.DecodeError):
        count_parts(b"\xff" * 20)
