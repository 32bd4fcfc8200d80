"""What the pages say of model stores. A version or a store that cannot be read is shown as such."""

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Any

from graft.models.errors import GraftError
from graft.serving.pointer import Pointer, PointerError
from graft.serving.store import ModelStore, open_store

PAGE = 50
"""Versions on one page."""


@dataclasses.dataclass(frozen=True)
class Version:
    """One version; `fault` says why its manifest is not shown, `rollback` is the command that serves it."""

    number: int
    served: bool
    rollback: str
    time: str = ""
    run: str = ""
    pipeline: str = ""
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Model:
    """A model: its pointer, or what is wrong with it, and some of its versions, latest first."""

    store: int
    name: str
    versions: Sequence[Version]
    count: int
    pointer: Pointer | None
    fault: str
    unpin: str = ""
    older: int | None = None

    @property
    def newest(self) -> Version | None:
        """The first of the versions that are shown."""
        return self.versions[0] if self.versions else None


@dataclasses.dataclass(frozen=True)
class Store:
    """One store of the first page."""

    address: str
    models: Sequence[Model] = ()
    fault: str = ""


class StoreView:
    """Some model stores.

    Args:
        addresses: folders or s3://BUCKET/PREFIX.
    """

    def __init__(self, addresses: Sequence[str]):
        self.addresses = addresses
        self._stores = [open_store(address) for address in addresses]

    def stores(self) -> list[Store]:
        """All of them, each model with its newest version."""
        found = []
        for number, (address, store) in enumerate(zip(self.addresses, self._stores, strict=True)):
            try:
                models = [_model(store, number, name, 1, None) for name in store.models()]
            except (GraftError, OSError) as error:
                found.append(Store(address, fault=_told(address, error)))
            else:
                found.append(Store(address, models))
        return found

    def model(self, store: str, name: str, before: str | None) -> Model | None:
        """One model; None: there is no such store, model or version."""
        if store not in {str(number) for number in range(len(self._stores))}:
            return None
        opened = self._stores[int(store)]
        try:
            if name not in opened.models():
                return None
            known = {str(number) for number in opened.versions(name)}
            if before is not None and before not in known:
                return None
            return _model(opened, int(store), name, PAGE, None if before is None else int(before))
        except OSError as error:
            raise GraftError(_told(self.addresses[int(store)], error)) from error


def _told(address: str, error: Exception) -> str:
    return f"{address}: {error.strerror}" if isinstance(error, OSError) else str(error)


def _model(store: ModelStore, number: int, name: str, most: int, before: int | None) -> Model:
    every = store.versions(name)
    older = [version for version in every if before is None or version < before]
    shown = older[-most:]
    pointer, fault = None, ""
    try:
        pointer = store.current(name)
    except PointerError as error:
        fault = str(error)
    served = pointer.version if pointer is not None else None
    versions = [_version(store, name, version, version == served) for version in reversed(shown)]
    rest = shown[0] if len(older) > len(shown) else None
    unpin = _command("unpin", name, store=store.address) if pointer is not None and pointer.pinned else ""
    return Model(number, name, versions, len(every), pointer, fault, unpin, rest)


def _version(store: ModelStore, name: str, version: int, served: bool) -> Version:
    rollback = _command("rollback", name, str(version), store=store.address)
    try:
        held = store.manifest(name, version)
    except (GraftError, OSError) as error:
        return Version(version, served, rollback, fault=_told(store.address, error))
    about = held.get("metadata")
    about = about if isinstance(about, dict) else {}
    return Version(
        version, served, rollback, _text(held.get("time")), _text(about.get("run_id")), _text(_name_in(about))
    )


def _name_in(about: dict[str, Any]) -> Any:
    config = about.get("config")
    return config.get("name") if isinstance(config, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _command(verb: str, *words: str, store: str) -> str:
    return shlex.join(["graft", "models", verb, *words, "--store", store])
