"""Sections of the configuration that the layers above the pipeline bring; the pipeline knows none of them.

Such a layer names a pydantic model under the entry point group `graft.sections` (setup.py); the entry's name is the
key: `kubeflow = graft.kubeflow.options:KubeflowOptions`. What stands there changes nothing of what a run computes.
"""

import functools
from typing import Any, TypeVar

import pydantic

from graft.models import entry_points

GROUP = "graft.sections"

M = TypeVar("M", bound=pydantic.BaseModel)


def extended(base: type[M]) -> type[M]:
    """The schema with one field more for each section that a layer above registered.

    Args:
        base: the pipeline's own schema.

    Returns:
        A subclass of `base`, always the same one for the same sections; `base` itself where there are none.

    Raises:
        models.entry_points.RegistrationError: a section is registered twice, has the name of a key of `base`, cannot be
            imported, or is no pydantic model that refuses unknown keys and can do without any key.
    """
    return _extended(base, tuple(_found(frozenset(base.model_fields)).items()))


def names(config: pydantic.BaseModel, base: type[pydantic.BaseModel]) -> set[str]:
    """Keys of `config` that are not the pipeline's own: what identifies a run leaves them out."""
    return set(type(config).model_fields) - set(base.model_fields)


def section(config: pydantic.BaseModel, name: str, model: type[M]) -> M:
    """The section `name` of a configuration; its defaults where the configuration was made without it.

    Raises:
        models.entry_points.RegistrationError: another package's model stands under that name.
    """
    value = getattr(config, name, None)
    if value is None:
        return model()
    if not isinstance(value, model):
        raise entry_points.RegistrationError(
            f"{name}: the section is a {_path(type(value))}; allowed: a {_path(model)}"
        )
    return value


def _found(taken: frozenset[str]) -> dict[str, type[pydantic.BaseModel]]:
    """The registered models by name, in the order of the names."""
    found = {}
    for name, entry in entry_points.find(GROUP, "section").items():
        where = f"section {name!r} of {entry_points.origin(entry)}"
        if name in taken or not name.isidentifier():
            fault = "is a key of the pipeline itself" if name in taken else "is no name of a key"
            raise entry_points.RegistrationError(f"{where}: the name {fault}; allowed: another name")
        found[name] = _checked(entry_points.load(entry, "section"), where)
    return found


def _checked(model: Any, where: str) -> type[pydantic.BaseModel]:
    if not (isinstance(model, type) and issubclass(model, pydantic.BaseModel)):
        fault, allowed = f"is a {type(model).__name__}", "a pydantic model"
    elif model.model_config.get("extra") != "forbid":
        fault, allowed = "takes unknown keys", 'a model with extra="forbid"'
    elif required := [name for name, field in model.model_fields.items() if field.is_required()]:
        fault, allowed = f"{', '.join(required)} has no default", "a model that can do without any key"
    else:
        return model
    raise entry_points.RegistrationError(f"{where}: {fault}; allowed: {allowed}")


@functools.lru_cache(maxsize=16)
def _extended(base: type[M], found: tuple[tuple[str, type[pydantic.BaseModel]], ...]) -> type[M]:
    if not found:
        return base
    fields: dict = {name: (model, pydantic.Field(default_factory=model)) for name, model in found}
    return pydantic.create_model(
        base.__name__, __base__=base, __module__=base.__module__, __doc__=base.__doc__, **fields
    )


def _path(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"
