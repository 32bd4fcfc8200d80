"""What a request may ask of a model before anything is run; it holds for every model, also one that Graft did not make.

A guard belongs to an input: it knows by the operations of a graph whether it is needed, and what contents will cost.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from graft.models import inputs

if TYPE_CHECKING:
    import numpy as np
    from tensorflow.core.framework.graph_pb2 import GraphDef


class Guard(Protocol):
    """Counts what the strings of a request make a model do.

    Attributes:
        things: what is counted in, for people: `images`.
        unit: what is counted, for people: `pixels`.
        limit: the most that one request may ask for, unless a server says otherwise.
    """

    things: str
    unit: str
    limit: int

    def applies(self, operations: frozenset[str]) -> bool:
        """Whether a graph of these operations needs it."""

    def cost(self, values: "np.ndarray") -> int:
        """Units that the strings of an input announce; an object array of bytes, any shape.

        Raises:
            models.inputs.base.Refused: one of them is built to be costly.
        """


def guards_for(graph: "GraphDef") -> tuple[Guard, ...]:
    """The guards of all inputs that a graph needs, its functions included."""
    functions = (node.op for function in graph.library.function for node in function.node_def)
    operations = frozenset((*(node.op for node in graph.node), *functions))
    return tuple(guard for guard in _guards() if guard.applies(operations))


def _guards() -> Iterator[Guard]:
    """One for each kind of input that has any."""
    for kind in inputs.KINDS:
        guard = getattr(inputs.KINDS.module(kind), "GUARD", None)
        if guard is not None:
            yield guard
