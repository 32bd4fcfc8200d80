"""Kinds by name: each is a module, imported when its name is asked for; one more is one file and one entry.

A module's settings are its `Options`, a pydantic model that can be imported without TensorFlow and whose first field is
the discriminator: `kind: Literal["image"] = "image"`.
"""

import difflib
import functools
import importlib
import importlib.metadata
from collections.abc import Collection, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

from graft.models import entry_points
from graft.models.errors import GraftError

if TYPE_CHECKING:
    from pydantic import BaseModel

UNKNOWN_KIND = "unknown_kind"
"""Type of the pydantic error for a section whose discriminator names no kind; its context: `field` and `allowed`,
the names with commas between them."""

Model = TypeVar("Model", bound="BaseModel")


class Registry(Mapping[str, str]):
    """Name -> import path of a module.

    Args:
        key: of the configuration that holds the name, for instance `input.kind`; its last part is the discriminator.
        modules: by name, in the order that people see.
        default: the name where the configuration gives none; None if it must.
        group: of the entry points by which other packages add modules; they are looked up at the first use.
        needs: what an added module must hold beside `Options`.
    """

    def __init__(
        self,
        key: str,
        modules: Mapping[str, str],
        default: str | None = None,
        group: str | None = None,
        needs: Collection[str] = (),
    ):
        self.key, self.default = key, default
        self._own, self._group, self._needs = dict(modules), group, needs

    def __getitem__(self, name: str) -> str:
        return self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    @functools.cached_property
    def _added(self) -> dict[str, importlib.metadata.EntryPoint]:
        found = entry_points.find(self._group, self.key) if self._group else {}
        for name in self._own.keys() & found.keys():
            raise entry_points.RegistrationError(
                f"{self.key} {name!r} of {entry_points.origin(found[name])}: is a name of Graft's own; "
                "allowed: another name"
            )
        return found

    @functools.cached_property
    def _modules(self) -> dict[str, str]:
        return self._own | {name: entry.value for name, entry in self._added.items()}

    def module(self, name: str) -> ModuleType:
        """The module called `name`.

        Raises:
            GraftError: there is none, and the message gives the nearest one; or an added one cannot be imported, or
                lacks what a module of its kind must hold.
        """
        if name not in self._modules:
            near = difflib.get_close_matches(str(name), self._modules, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise GraftError(f"{self.key}: received {name!r}{hint} allowed: {', '.join(self._modules)}")
        if name in self._added:
            return self._checked(name, entry_points.load(self._added[name], self.key))
        return importlib.import_module(self._modules[name])

    def _checked(self, name: str, module: Any) -> ModuleType:
        """An added module, if it holds what it must."""
        where = f"{self.key} {name!r} of {entry_points.origin(self._added[name])}"
        missing = [needed for needed in ("Options", *self._needs) if not hasattr(module, needed)]
        if missing:
            raise entry_points.RegistrationError(
                f"{where}: has no {missing[0]}; allowed: a module with all of its kind"
            )
        kind = self.key.rpartition(".")[2]
        field = getattr(module.Options, "model_fields", {}).get(kind)
        if field is None or field.default != name:
            raise entry_points.RegistrationError(
                f'{where}: its Options must have the field {kind}: Literal["{name}"] = "{name}"'
            )
        return module

    def options(self, name: str) -> "type[BaseModel]":
        """The settings of a kind. Raises as `module` does."""
        return self.module(name).Options

    def union(self, but: Collection[str] = (), or_null: bool = False) -> Any:
        """The discriminated union of all settings, for a field of a pydantic model.

        Args:
            but: names that are not allowed there.
            or_null: whether None is allowed too.
        """
        from pydantic import Discriminator, Tag  # imported here: a client of a server lacks it

        names = [name for name in self if name not in but]
        field = self.key.rpartition(".")[2]

        def tag(value: Any) -> Any:
            if value is None:
                return "null"
            return value.get(field, self.default) if isinstance(value, dict) else getattr(value, field, None)

        kinds: tuple[Any, ...] = tuple(Annotated[self.options(name), Tag(name)] for name in names)
        kinds += (Annotated[None, Tag("null")],) if or_null else ()
        unknown = Discriminator(
            tag,
            custom_error_type=UNKNOWN_KIND,
            custom_error_message=f"must be one of {', '.join(names)}",
            custom_error_context={"field": field, "allowed": ", ".join(names)},
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
