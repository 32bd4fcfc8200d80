"""What is predicted: one label of k, several labels, numbers. A new kind is a module here and one entry in KINDS.

Its module holds `Options` (PARSES names the settings that decide what is read from the data), `Gates` and `SliceGates`
(limits on its figures, over all and in a slice), all pydantic only, and `Target`, a subclass of
`models.targets.base.Target`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from graft.models.errors import GraftError, one_line
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

DESCRIPTION = "graft.json"
"""File in `assets.extra` of an export; its key `target` holds the target's description."""

LABELS = "labels.txt"
"""File beside it in exports of classes, one name a line; older exports have only this one."""


def make_target(options: BaseModel, names: Sequence[str] = (), facts: Mapping[str, Any] | None = None) -> "Target":
    """The target that a configuration's `target` section describes.

    Args:
        options: of one of KINDS.
        names: of the classes or numbers, in the order of the outputs; empty before they are known.
        facts: what it learned from data.
    """
    return KINDS.module(options.kind).Target(options, names, facts)  # type: ignore[attr-defined]


def parse_options(options: Mapping[str, Any]) -> BaseModel:
    """The settings of a target from JSON types; without a `kind` they are of the default one."""
    return KINDS.options(options.get("kind", KINDS.default)).model_validate(options)


def load_target(options: BaseModel, transform_graph_path: str | Path) -> "Target":
    """The target of a run, its names as Transform or the settings say.

    Raises:
        GraftError: there are none, or they are of no use.
    """
    return make_target(options).read_names(transform_graph_path)


def restore(description: Mapping[str, Any]) -> "Target":
    """The target that `Target.description` describes."""
    return make_target(parse_options(description["options"]), description["names"], description["facts"])


def exported_target(model_path: str | Path) -> "Target":
    """The target of an export; of one that an older version made, by its list of classes.

    Raises:
        GraftError: it has none; Graft did not export it.
    """
    extra = Path(model_path) / "assets.extra"
    path = extra / DESCRIPTION
    if not path.is_file() and (extra / LABELS).is_file():
        names = (extra / LABELS).read_bytes().decode().removesuffix("\n").split("\n")
        return make_target(parse_options({"kind": "label"}), names)
    try:
        return restore(json.loads(path.read_text(encoding="utf-8"))["target"])
    except FileNotFoundError:
        raise GraftError(f"{path}: missing; only models exported by Graft describe their target there") from None
    except Exception as error:
        raise GraftError(f"{path}: damaged ({one_line(error)})") from error


def shown(outputs: Mapping[str, Any]) -> dict[str, str]:
    """An answer in a few words, by the heading of a column.

    Args:
        outputs: of `serving_default` for one example, as JSON types; what has a place for each name is a mapping by it.
    """
    for kind in KINDS:
        found = KINDS.module(kind).shown(outputs)
        if found is not None:
            return found
    return {name: json.dumps(value) for name, value in outputs.items()}
