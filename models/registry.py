"""Kinds by name: each is a module, imported when its name is asked for; one more is one file and one entry.

A module's settings are its `Options`, a pydantic model that can be imported without TensorFlow and whose first field is
the discriminator: `kind: Literal["image"] = "image"`.
"""

import difflib
import importlib
from collections.abc import Collection, Iterator, Mapping
from types import ModuleType
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, Discriminator, Tag

from graft.models.errors import GraftError

UNKNOWN_KIND = "unknown_kind"
"""Type of the pydantic error for a section whose discriminator names no kind; its context: `field` and `allowed`,
the names with commas between them."""

Model = TypeVar("Model", bound=BaseModel)


class Registry(Mapping[str, str]):
    """Name -> import path of a module.

    Args:
        key: of the configuration that holds the name, for instance `input.kind`; its last part is the discriminator.
        modules: by name, in the order that people see.
        default: the name where the configuration gives none; None if it must.
    """

    def __init__(self, key: str, modules: Mapping[str, str], default: str | None = None):
        self.key, self.default = key, default
        self._modules = dict(modules)

    def __getitem__(self, name: str) -> str:
        return self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def module(self, name: str) -> ModuleType:
        """The module called `name`.

        Raises:
            GraftError: there is none; the message gives the nearest one.
        """
        if name not in self._modules:
            near = difflib.get_close_matches(str(name), self._modules, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise GraftError(f"{self.key}: received {name!r}{hint} allowed: {', '.join(self._modules)}")
        return importlib.import_module(self._modules[name])

    def options(self, name: str) -> type[BaseModel]:
        """The settings of a kind. Raises as `module` does."""
        return self.module(name).Options

    def union(self) -> Any:
        """The discriminated union of all settings, for a field of a pydantic model."""
        field = self.key.rpartition(".")[2]

        def tag(value: Any) -> Any:
            return value.get(field, self.default) if isinstance(value, dict) else getattr(value, field, None)

        kinds = tuple(Annotated[self.options(name), Tag(name)] for name in self._modules)
        unknown = Discriminator(
            tag,
            custom_error_type=UNKNOWN_KIND,
            custom_error_message=f"must be one of {', '.join(self._modules)}",
            custom_error_context={"field": field, "allowed": ", ".join(self._modules)},
        )
        return Annotated[Union[kinds], unknown]  # noqa: UP007 - of a tuple made here


def only(options: Model, names: Collection[str]) -> Model:
    """The same settings with every field that is not named at its default; what may be left out must have one.

    What a stage does not use is no part of its cache key that way.
    """
    fields = type(options).model_fields.items()
    return options.model_copy(
        update={name: field.get_default(call_default_factory=True) for name, field in fields if name not in names}
    )
