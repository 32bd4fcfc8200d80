"""Where a server learns which versions to serve: the pointers of a store, or plain folders."""

import logging
import pathlib
import time
from typing import Protocol

from graft.models.errors import GraftError
from graft.serving.pointer import PointerError
from graft.serving.registry import Wanted
from graft.serving.store import ModelStore
from graft.serving.versions import version_folders

LOOK_S = 60.0
"""Seconds after which all pointers are looked at, also where a store's mark says that none has moved."""
FAULT_LOOK_S = 5.0
"""The same where the pointer of a model could not be followed."""

logger = logging.getLogger(__name__)


class Source(Protocol):
    """Polled by the server; what it does not mention stays as it is."""

    def poll(self) -> dict[str, Wanted]:
        """What should be served now, by model name. A fault of one model is logged and must not hold up others."""
        ...


class StoreSource:
    """Follows the pointer of every model of a store."""

    def __init__(self, store: ModelStore):
        self.store = store
        self._faults: dict[str, str] = {}
        self._known: set[str] = set()
        self._mark: str | None = None
        self._look_at = 0.0
        self._wanted: dict[str, Wanted] = {}

    def poll(self) -> dict[str, Wanted]:
        try:
            # Before the pointers are read: one that moves meanwhile has another mark at the next poll.
            mark = self.store.mark()
            if mark is not None and mark == self._mark and time.monotonic() < self._look_at:
                return self._wanted
            names = self.store.models()
        except (GraftError, OSError) as error:
            self._log_once("", error)
            return {}
        self._faults.pop("", None)
        self._wanted = self._look(names)
        self._mark = mark
        self._look_at = time.monotonic() + (FAULT_LOOK_S if self._faults else LOOK_S)
        return self._wanted

    def _look(self, names: list[str]) -> dict[str, Wanted]:
        wanted = {}
        for name in names:
            try:
                # The pointer first: a push between the two must not name a version that the list lacks.
                served, pinned = self._served(name)
                versions = self.store.places(name)
                if served is None:
                    # None is whole: the load of the newest fails, and its status says why.
                    served = max(versions, default=None)
                if served not in (None, *versions):
                    raise GraftError(f"{self.store.address}: model {name}: version {served} is gone")
            except (GraftError, OSError) as error:
                # What is served goes on being served: a broken pointer must not take a model away.
                self._log_once(name, error)
                continue
            self._faults.pop(name, None)
            if served is None:
                continue
            self._known.add(name)
            others = {number: path for number, path in versions.items() if number != served}
            wanted[name] = Wanted({served: versions[served]}, others, pinned)
        return wanted

    def _served(self, name: str) -> tuple[int | None, bool]:
        """The version, and whether it is pinned."""
        try:
            pointer = self.store.current(name)
        except PointerError:
            if name in self._known:
                raise
            return self.store.served(name), False
        return (pointer.version, pointer.pinned) if pointer else (None, False)

    def _log_once(self, name: str, error: Exception) -> None:
        if self._faults.get(name) != str(error):
            logger.error("%s", error)
            self._faults[name] = str(error)


class FolderSource:
    """One model: the folder of a SavedModel, or a base path whose newest numbered folder is served."""

    def __init__(self, name: str, path: str | pathlib.Path):
        self.name = name
        self.path = pathlib.Path(path).absolute()

    def poll(self) -> dict[str, Wanted]:
        if (self.path / "saved_model.pb").is_file():
            number = int(self.path.name) if self.path.name.isascii() and self.path.name.isdigit() else 1
            return {self.name: Wanted({number: self.path})}
        try:
            folders = version_folders(self.path)
        except OSError as error:
            # A base path that vanishes unloads nothing; it may be a mount that comes back.
            logger.error("%s: cannot be listed: %s", self.path, error.strerror)
            return {}
        newest = max(folders, default=None)
        if newest is None:
            logger.warning("%s: no version of model %s there", self.path, self.name)
            return {self.name: Wanted({})}
        return {self.name: Wanted({newest: folders[newest]})}
