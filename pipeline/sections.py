"""Sections of the configuration that the layers above the pipeline bring; the pipeline knows none of them.

Such a layer names a pydantic model under the entry point group `graft.sections` (setup.py); the entry's name is the
key: `kubeflow = graft.kubeflow.options:KubeflowOptions`. What stands there changes nothing of what a run computes.
"""

import functools
import importlib.metadata
from typing import TypeVar

import pydantic

from graft.models.errors import GraftError

GROUP = "graft.sections"

M = TypeVar("M", bound=pydantic.BaseModel)


class SectionError(GraftError):
    """A package registered a section that the configuration cannot take."""


def extended(base: type[M]) -> type[M]:
    """The schema with one field more for each section that a layer above registered.

    Args:
        base: the pipeline's own schema.

    Returns:
        A subclass of `base`, always the same one for the same sections; `base` itself where there are none.

    Raises:
        SectionError: a section is registered twice, has the name of a key of `base`, cannot be imported, or is no
            pydantic model that refuses unknown keys and can do without any key.
    """
    return _extended(base, tuple(_found(frozenset(base.model_fields)).items()))


def names(config: pydantic.BaseModel, base: type[pydantic.BaseModel]) -> set[str]:
    """Keys of `config` that are not the pipeline's own: what identifies a run leaves them out."""
    return set(type(config).model_fields) - set(base.model_fields)


def section(config: pydantic.BaseModel, name: str, model: type[M]) -> M:
    """The section `name` of a configuration; its defaults where the configuration was made without it.

    Raises:
        SectionError: another package's model stands under that name.
    """
    value = getattr(config, name, None)
    if value is None:
        return model()
    if not isinstance(value, model):
        raise SectionError(f"{name}: the section is a {_path(type(value))}; allowed: a {_path(model)}")
    return value


def _found(taken: frozenset[str]) -> dict[str, type[pydantic.BaseModel]]:
    """The registered models by name, in the order of the names."""
    entries: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=GROUP):
        first = entries.setdefault(entry.name, entry)
        if first.value != entry.value:
            one, other = sorted((_origin(first), _origin(entry)))
            raise SectionError(f"{entry.name}: the section is registered twice: {one} and {other}; remove one package")
        if entry.name in taken or not entry.name.isidentifier():
            fault = "is a key of the pipeline itself" if entry.name in taken else "is no name of a key"
            raise SectionError(f"section {entry.name!r} of {_origin(entry)}: the name {fault}; allowed: another name")
    return {name: _model(entries[name]) for name in sorted(entries)}


def _model(entry: importlib.metadata.EntryPoint) -> type[pydantic.BaseModel]:
    where = f"section {entry.name!r} of {_origin(entry)}"
    try:
        model = entry.load()
    except Exception as error:  # a foreign module may raise anything
        raise SectionError(f"{where}: cannot be imported: {type(error).__name__}: {error}") from error
    if not (isinstance(model, type) and issubclass(model, pydantic.BaseModel)):
        raise SectionError(f"{where}: is a {type(model).__name__}; allowed: a pydantic model")
    if model.model_config.get("extra") != "forbid":
        raise SectionError(f'{where}: takes unknown keys; allowed: a model with extra="forbid"')
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    if required:
        raise SectionError(
            f"{where}: {', '.join(required)} has no default; allowed: a model that can do without any key"
        )
    return model


@functools.lru_cache(maxsize=16)
def _extended(base: type[M], found: tuple[tuple[str, type[pydantic.BaseModel]], ...]) -> type[M]:
    if not found:
        return base
    fields: dict = {name: (model, pydantic.Field(default_factory=model)) for name, model in found}
    return pydantic.create_model(
        base.__name__, __base__=base, __module__=base.__module__, __doc__=base.__doc__, **fields
    )


def _origin(entry: importlib.metadata.EntryPoint) -> str:
    package = f" ({entry.dist.name})" if entry.dist else ""
    return f"{entry.value}{package}"


def _path(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"
