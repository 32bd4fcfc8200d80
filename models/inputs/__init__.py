"""What the data is made of: images, texts. A new kind is a module (or package) here and one entry in KINDS.

Its module holds `Options` (pydantic only, in a module of its own; ENTERS, PREPARES and TRAINS name the settings that
decide what may enter, what the backbone is fed and what it is trained on: a stage is given no others) and `Input`, a
subclass of `models.inputs.base.Input`. `Input` is imported without pydantic: a client of a server lacks it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graft.models.registry import Registry
from graft.models.stored import reading

if TYPE_CHECKING:
    from pydantic import BaseModel

    from graft.models.inputs.base import Input

KINDS = Registry(
    "input.kind",
    {
        "image": "graft.models.inputs.image",
        "text": "graft.models.inputs.text",
    },
    default="image",
)


def parse_options(options: Mapping[str, Any]) -> "BaseModel":
    """The settings of an input from JSON types; without a `kind` they are of the default one."""
    return KINDS.options(options.get("kind", KINDS.default)).model_validate(options)


def make_input(options: "BaseModel") -> "Input":
    """The input that a configuration's `input` section describes."""
    return KINDS.module(options.kind).Input(options)  # type: ignore[attr-defined]


def exported_input(model_path: str | Path) -> "Input":
    """The input of an export; of one that an older version made, which takes images.

    Raises:
        GraftError: it has none; Graft did not export it.
    """
    extra = Path(model_path) / "assets.extra"
    path = extra / "graft.json"
    if not path.is_file() and (extra / "labels.txt").is_file():
        return make_input(KINDS.options("image")(value_range=(0.0, 1.0)))
    with reading(path, "train"):
        return make_input(parse_options(json.loads(path.read_text(encoding="utf-8"))["input"]))


def input_names() -> list[str]:
    """What the inputs of signatures are called, by kind."""
    return [KINDS.module(kind).Input.signature_name for kind in KINDS]


def input_of_signature(names: Iterable[str]) -> "Input | None":
    """The kind of input, with default settings, that a served model of these input names takes; None for another's."""
    given = set(names)
    for kind in KINDS:
        module = KINDS.module(kind)
        if given == {module.Input.signature_name}:
            return module.Input()
    return None
