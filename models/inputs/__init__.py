"""What the data is made of: images, texts. A new kind is a module (or package) here and one entry in KINDS.

Its module holds `Options` (pydantic only; ENTERS, PREPARES and TRAINS name the settings that decide what may enter,
what the backbone is fed and what it is trained on: a stage is given no others) and `Input`, a subclass of
`models.inputs.base.Input`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import BaseModel

from graft.models.registry import Registry

if TYPE_CHECKING:
    from graft.models.inputs.base import Input

KINDS = Registry(
    "input.kind",
    {
        "image": "graft.models.inputs.image",
        "text": "graft.models.inputs.text",
    },
    default="image",
)


def make_input(options: BaseModel) -> "Input":
    """The input that a configuration's `input` section describes."""
    return KINDS.module(options.kind).Input(options)  # type: ignore[attr-defined]


def input_of_signature(names: Iterable[str]) -> "Input | None":
    """The kind of input, with default settings, that a served model of these input names takes; None for another's."""
    given = set(names)
    for kind in KINDS:
        module = KINDS.module(kind)
        if given == {module.Input.signature_name}:
            return module.Input(module.Options())
    return None
