"""What is predicted: one label of k, several labels, numbers. A new kind is a module here and one entry in KINDS.

Its module holds `Options`, `Gates` and `SliceGates` (pydantic only; limits on its figures, over all and in a slice) and
`Target`, a subclass of `models.targets.base.Target`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from graft.models.registry import Registry

if TYPE_CHECKING:
    from graft.models.targets.base import Target

KINDS = Registry(
    "target.kind",
    {
        "label": "graft.models.targets.label",
        "labels": "graft.models.targets.labels",
        "numbers": "graft.models.targets.numbers",
    },
    default="label",
)


def make_target(options: BaseModel, names: Sequence[str] = ()) -> "Target":
    """The target that a configuration's `target` section describes.

    Args:
        options: of one of KINDS.
        names: of the classes or numbers, in the order of the outputs; empty before they are known.
    """
    return KINDS.module(options.kind).Target(options, names)  # type: ignore[attr-defined]
