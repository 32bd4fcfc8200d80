"""What a handle names: a kind of handle of an installed package (`myzoo:resnet`) is resolved to a place here.

A package names a module under the entry point group `graft.backbones`; the entry's name is what its handles begin with.
The module holds

- `resolve(name)`: what comes after the colon -> folder of a SavedModel, `.keras` file, or URL. Raises LookupError for a
  name that there is not, GraftError for whatever else is wrong. It is called in each process of a run, so it gives the
  same content each time;
- `FACTS`: names -> `models.backbone_facts.Facts`, for `graft backbone list`; may be empty.

What it resolves to is checked as any other backbone is: allow-list, hash, feature vector.
"""

import difflib
import importlib.metadata
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from types import ModuleType

from graft.models import entry_points
from graft.models.application_inputs import PREFIX
from graft.models.backbone_facts import Facts
from graft.models.download import REMOTE
from graft.models.entry_points import RegistrationError
from graft.models.errors import GraftError

GROUP = "graft.backbones"
_WHAT = "kind of handle"
_OWN = {PREFIX.rstrip(":"), *(start.partition(":")[0] for start in REMOTE), "s3", "file"}
_FORM = re.compile(r"([A-Za-z][\w.-]+):(?!//)(.*)", re.DOTALL)


def kinds() -> dict[str, importlib.metadata.EntryPoint]:
    """The kinds of handle that installed packages bring; none is imported.

    Raises:
        RegistrationError: one is registered twice, or has a name that Graft uses itself or that no handle can have.
    """
    found = entry_points.find(GROUP, _WHAT)
    for name, entry in found.items():
        where = f"{_WHAT} {name!r} of {entry_points.origin(entry)}"
        if name in _OWN:
            raise RegistrationError(f"{where}: is a name of Graft's own; allowed: another name")
        if not _FORM.fullmatch(f"{name}:"):
            raise RegistrationError(
                f"{where}: allowed: a letter, then letters, digits and _ . -, at least two together"
            )
    return found


def is_of_a_kind(handle: str) -> bool:
    """Whether a handle has the form of a kind, installed or not, and is no file or folder."""
    return bool(_FORM.fullmatch(handle)) and not handle.startswith(PREFIX) and not pathlib.Path(handle).exists()


def placed(handle: str) -> str:
    """Where the network lies that a handle names; a handle of Graft's own is returned as it is.

    Raises:
        GraftError: no package has such handles, the package has no such network, or it gave no place.
    """
    if not is_of_a_kind(handle):
        return handle
    kind, name = _split(handle)
    module, entry = _module(kind, handle)
    where = f"{_WHAT} {kind!r} of {entry_points.origin(entry)}"
    try:
        place = module.resolve(name)
    except GraftError:
        raise
    except LookupError as error:
        names = list(_facts(module, where))
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise GraftError(
            f"backbone {handle!r}: {where} has no network {name!r}{hint} it names: {', '.join(names) or 'none'}"
        ) from error
    except Exception as error:  # a foreign module may raise anything
        raise RegistrationError(f"{where}: {handle!r} cannot be resolved: {type(error).__name__}: {error}") from error
    if not isinstance(place, str | os.PathLike):
        raise RegistrationError(f"{where}: resolves {handle!r} to a {type(place).__name__}; allowed: a path or a URL")
    found = os.fspath(place)
    if not found.startswith(REMOTE) and not pathlib.Path(found).exists():
        raise RegistrationError(f"{where}: resolves {handle!r} to {found!r}, which does not exist")
    return found


def every() -> Iterator[tuple[str, Facts]]:
    """Handle and facts of each network that a package names.

    Raises:
        RegistrationError: a package cannot be imported, or its facts are none.
    """
    for kind, entry in kinds().items():
        module, _ = _module(kind, kind)
        for name, facts in _facts(module, f"{_WHAT} {kind!r} of {entry_points.origin(entry)}").items():
            yield f"{kind}:{name}", facts


def facts(handle: str) -> Facts | None:
    """What a package says of one of its networks; None where it says nothing. Raises as `placed`."""
    if not is_of_a_kind(handle):
        return None
    kind, name = _split(handle)
    module, entry = _module(kind, handle)
    return _facts(module, f"{_WHAT} {kind!r} of {entry_points.origin(entry)}").get(name)


def _split(handle: str) -> tuple[str, str]:
    kind, _, name = handle.partition(":")
    return kind, name


def _module(kind: str, handle: str) -> tuple[ModuleType, importlib.metadata.EntryPoint]:
    found = kinds()
    if kind not in found:
        near = difflib.get_close_matches(kind, [*found, PREFIX.rstrip(":")], n=1)
        hint = f"did you mean {near[0] + ':'!r}? " if near else ""
        raise GraftError(
            f"backbone {handle!r} does not exist, and no installed package has handles that begin with {kind + ':'!r}; "
            f"{hint}installed: {', '.join(found) or 'none'}"
        )
    module = entry_points.load(found[kind], _WHAT)
    if not callable(getattr(module, "resolve", None)):
        raise RegistrationError(
            f"{_WHAT} {kind!r} of {entry_points.origin(found[kind])}: has no function `resolve`; "
            "allowed: a module with `resolve(name)` and `FACTS`"
        )
    return module, found[kind]


def _facts(module: ModuleType, where: str) -> Mapping[str, Facts]:
    told = getattr(module, "FACTS", None)
    if not isinstance(told, Mapping) or not all(isinstance(value, Facts) for value in told.values()):
        raise RegistrationError(f"{where}: `FACTS` must map names to graft.models.backbone_facts.Facts; may be empty")
    return told
