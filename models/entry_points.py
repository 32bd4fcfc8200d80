"""What installed packages register by entry point: found, and named with its package where it is at fault."""

import importlib.metadata
from typing import Any

from graft.models.errors import GraftError


class RegistrationError(GraftError):
    """An installed package registered what cannot be used."""


def find(group: str, what: str) -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of a group by name, in the order of the names; nothing is imported.

    Args:
        group: for instance `graft.observers`.
        what: what each of them is, for people: `observer`.

    Raises:
        RegistrationError: two packages register different things under one name.
    """
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for entry in importlib.metadata.entry_points(group=group):
        first = found.setdefault(entry.name, entry)
        if first.value != entry.value:
            one, other = sorted((origin(first), origin(entry)))
            raise RegistrationError(
                f"{entry.name}: the {what} is registered twice: {one} and {other}; remove one package"
            )
    return {name: found[name] for name in sorted(found)}


def load(entry: importlib.metadata.EntryPoint, what: str) -> Any:
    """What an entry point names. Raises RegistrationError if it cannot be imported."""
    try:
        return entry.load()
    except Exception as error:  # a foreign module may raise anything
        raise RegistrationError(
            f"{what} {entry.name!r} of {origin(entry)}: cannot be imported: {type(error).__name__}: {error}"
        ) from error


def origin(entry: importlib.metadata.EntryPoint) -> str:
    """Module and object, and the package that registered them."""
    package = f" ({entry.dist.name})" if entry.dist else ""
    return f"{entry.value}{package}"
