"""What every kind of model store promises, written once: the pointer and its recovery, pins, rollback, retention.

A kind that can lock (flock) moves the pointer under its lock. A kind that cannot writes it under a condition, that
nobody has moved it since it was read, and the decision is taken anew where somebody has (`Outrun`).
"""

import contextlib
import dataclasses
import logging
import pathlib
import random
import time
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graft.models.errors import GraftError
from graft.serving import manifest, model_config, pointer
from graft.serving.pointer import NoPointerError, Pointer, PointerError, StoreError, Unreachable
from graft.serving.store_kind import MODELS_CONFIG, Outrun, StoreKind
from graft.serving.versions import check_model_name

_TRIES = 20
_PAUSE_S = 0.05

logger = logging.getLogger(__name__)


class ModelStore(StoreKind):
    """Versions of models; `serving.store.open_store` makes one."""

    # Reading, the same for all.

    def current(self, model: str) -> Pointer | None:
        """The pointer of `model`, or None if nothing was ever pushed under that name.

        Raises:
            PointerError: versions exist but the pointer is missing, corrupt or names a version that is gone.
        """
        found, _ = self._seen(model)
        if isinstance(found, PointerError):
            raise found
        return found

    def served(self, model: str) -> int | None:
        """The version a server should load: the pointer's, else by the recovery rule the newest whole one (logged)."""
        try:
            current = self.current(model)
        except PointerError as error:
            version = self._newest_whole(model)
            logger.error("%s; the newest whole version is %s", error, version)
            return version
        return current.version if current else None

    def verify(self, model: str, version: int | None = None) -> list[str]:
        """Faults of one version, or of all versions and the pointer: a line each, empty if all is whole."""
        if version is not None:
            self._require(model, version)
            return [f"{model}/{version}/{fault}" for fault in self._problems(model, version)]
        faults = []
        try:
            if self.current(model) is None:
                raise self._no_model(model)
        except PointerError as error:
            faults.append(str(error))
        for number in self.versions(model):
            faults += [f"{model}/{number}/{fault}" for fault in self._problems(model, number)]
        return faults

    def models_config(self, moved: Mapping[str, int] | None = None) -> str:
        """What `models.config` should say; versions in `moved` go before the pointers."""
        served = self._all_served(moved)
        return model_config.format_models_config([(name, self._base_path(name), served[name]) for name in served])

    def config_follows(self) -> bool:
        """Whether `models.config` says what the pointers say; a write that died between the two leaves it behind."""
        return self._read_config() == self.models_config().encode()

    # Writing, the same for all.

    def push(
        self,
        model: str,
        saved_model_dir: str | pathlib.Path,
        metadata: dict[str, Any],
        protect: Iterable[int] = (),
        beside: Mapping[str, pathlib.Path] = types.MappingProxyType({}),
    ) -> int:
        """Stores a SavedModel as the next version and, unless the model is pinned, serves it.

        Content identical to the served version (or to a newest version whose push died before its pointer moved) is
        not copied again: that version is returned.

        Args:
            model: name of the model.
            saved_model_dir: folder with saved_model.pb.
            metadata: JSON values to keep in the manifest (run id, config, metrics, ...).
            protect: versions that retention leaves this time, whatever their age.
            beside: small files that belong to the version, by their names in it; they go before the model's own.

        Returns:
            The version. It is served if `current(model).version` says so; a pinned pointer stays where it is, and so
            does one that a newer push has moved meanwhile.

        Raises:
            StoreError: no SavedModel there, or it could not be written (disk full, ...): nothing new stays in the
                store, and the message says what is served.
        """
        source = pathlib.Path(saved_model_dir)
        if not (source / "saved_model.pb").is_file() and not (source / "saved_model.pbtxt").is_file():
            raise StoreError(f"{source}: no saved_model.pb there; a push takes the folder of a SavedModel")
        with self._writing(model, "push", create=True):
            version = self._push(model, source, beside, metadata)
            self._retain(model, protect)
            return version

    def _push(
        self, model: str, source: pathlib.Path, beside: Mapping[str, pathlib.Path], metadata: dict[str, Any]
    ) -> int:
        files = manifest.describe(source) | {name: manifest.describe_file(path) for name, path in beside.items()}
        current, _ = self._recovered(model)
        served = [current.version] if current else []
        for version in dict.fromkeys(served + self.versions(model)[-1:]):
            if self._holds(model, version, files):
                logger.info("%s version %d has the same content: not copied again", model, version)
                self._serve_pushed(model, version, first=current is None)
                return version
        version = self._add_version(model, source, beside, files, metadata)
        try:
            self._serve_pushed(model, version, first=current is None)
        except BaseException:
            if not self._may_be_served(model, version):
                self._drop_version(model, version)
            raise
        return version

    def rollback(self, model: str, version: int | None = None) -> Pointer:
        """Serves the previous version (or `version`) and pins it: the next push must not undo a rollback silently.

        A later push is stored but not served until `unpin(model)` and a push, or `rollback`/`pin` to it.

        Raises:
            StoreError: there is no earlier version, or the wanted one is not whole.
        """
        with self._writing(model, "rollback"):
            return self._pin(model, self._earlier(model) if version is None else version)

    def pin(self, model: str, version: int) -> Pointer:
        """Serves `version` and holds it there against later pushes. Raises StoreError if it is not whole."""
        with self._writing(model, "pin"):
            return self._pin(model, version)

    def unpin(self, model: str) -> Pointer:
        """Lets the next push be served again; the served version does not change now."""

        def unpinned(current: Pointer | None) -> Pointer:
            if current is None:
                raise StoreError(f"{self.address}: no model {model}")
            return dataclasses.replace(current, pinned=False, time=pointer.now())

        with self._writing(model, "unpin"):
            self.current(model)  # a broken pointer is an error here
            return self._moved(model, unpinned)

    def recover(self, model: str) -> Pointer:
        """Sets a missing or corrupt pointer to the newest whole version; a sound pointer is left as it is."""
        with self._writing(model, "recover"):
            current, _ = self._recovered(model)
            if current is None:
                raise StoreError(f"{self.address}: model {model} has no whole version to recover")
            return current

    # Beneath.

    def _check_name(self, model: str) -> str:
        if model in self.reserved:
            raise StoreError(f"model name {model!r} is not allowed: the store has a file of that name")
        return check_model_name(model)

    def _require(self, model: str, version: int) -> None:
        have = self.versions(model)
        if version not in have:
            listed = ", ".join(map(str, have)) or "none"
            raise StoreError(f"{self.address}: model {model} has no version {version}; there are: {listed}")

    def _no_model(self, model: str) -> StoreError:
        return StoreError(f"{self.address}: no model {model}; there are: {', '.join(self.models()) or 'none'}")

    def _seen(self, model: str) -> tuple[Pointer | PointerError | None, str | None]:
        """The pointer or what is wrong with it, and what a conditional write goes by."""
        found, seen = self._look(model)
        # Between pointer and versions a push may have ended: a fault counts when it is there twice.
        return self._look(model) if isinstance(found, PointerError) else (found, seen)

    def _look(self, model: str) -> tuple[Pointer | PointerError | None, str | None]:
        self._check_name(model)
        place, seen = self._pointer_address(model), None
        advice = "`graft models rollback` with a version, a push, or ModelStore.recover sets it again"
        try:
            content, seen = self._read_pointer(model)
            found = pointer.parse(content, place)
        except FileNotFoundError:
            if not self.versions(model):
                return None, None
            return NoPointerError(f"{place}: missing, though the model has versions; {advice}"), None
        except PointerError as error:
            return PointerError(f"{error}; {advice}"), seen
        if found.version not in self.versions(model):
            fault = f"{place}: names version {found.version!r}, which is not in the store; {advice}"
            return PointerError(fault), seen
        return found, seen

    def _serving(self, model: str) -> str:
        try:
            current = self.current(model)
        except (GraftError, OSError):
            return "what the pointer says cannot be read now; see `graft models verify`"
        return f"version {current.version} is served" if current else "no version is served"

    def _newest_whole(self, model: str) -> int | None:
        return next((v for v in reversed(self.versions(model)) if not self._problems(model, v)), None)

    def _recovered(self, model: str, first: bool = False) -> tuple[Pointer | None, str | None]:
        """As `_seen`; a broken pointer is first replaced by what the recovery rule gives.

        Args:
            model: name of the model.
            first: a missing pointer is none yet: its first push has just stored a version.
        """
        for _ in self.tries(self._pointer_address(model)):
            found, seen = self._seen(model)
            if not isinstance(found, PointerError):
                return found, seen
            if first and isinstance(found, NoPointerError):
                return None, seen
            version = self._newest_whole(model)
            logger.error("%s; recovered: the newest whole version is %s", found, version)
            if version is None:
                return None, seen
            with contextlib.suppress(Outrun):
                self._write_pointer(model, Pointer(version, False, None, pointer.now()), seen)
        raise AssertionError("unreachable")

    def _moved(self, model: str, decide: Callable[[Pointer | None], Any], first: bool = False) -> Any:
        """Puts what `decide` makes of the pointer (None: as it is) in its place; asks again if another was faster."""
        for _ in self.tries(self._pointer_address(model)):
            current, seen = self._recovered(model, first)
            moved = decide(current)
            try:
                self._write_pointer(model, moved, seen)
            except Outrun:
                continue
            return moved
        raise AssertionError("unreachable")

    @staticmethod
    def tries(place: str) -> Iterable[int]:
        """Counts attempts at a conditional write, with pauses. Raises StoreError, which names `place`, in the end."""
        for attempt in range(_TRIES):
            if attempt:
                # Of several writers one gets through each time; those who wait unequally long do not meet again.
                time.sleep(random.uniform(0, _PAUSE_S * min(attempt, 8)))
            yield attempt
        raise StoreError(f"{place}: {_TRIES} times another writer was faster; try again when fewer write there")

    def _holds(self, model: str, version: int, files: dict[str, Any]) -> bool:
        try:
            if self.manifest(model, version)["files"] != files:
                return False
        except GraftError:
            return False
        return not self._problems(model, version)

    def _may_be_served(self, model: str, version: int) -> bool:
        try:
            current = self.current(model)
        except PointerError:
            return False
        except Unreachable:
            return True
        return current is not None and current.version == version

    def _serve_pushed(self, model: str, version: int, first: bool) -> None:
        def decide(current: Pointer | None) -> Pointer | None:
            # Without a lock a newer push may have ended before this one: it stays.
            if current is None or (current.version < version and not current.pinned):
                return Pointer(version, False, current.version if current else None, pointer.now())
            if current.pinned and current.version != version:
                logger.warning(
                    "%s is pinned to version %d: version %d is stored but not served; `graft models unpin` and push "
                    "again, or pin the new version",
                    model,
                    current.version,
                    version,
                )
            elif current.version != version:
                logger.warning("%s: version %d, pushed meanwhile, stays served", model, current.version)
            return None

        self._moved(model, decide, first)

    def _earlier(self, model: str) -> int:
        """What a rollback without a version goes to."""
        current = self.current(model)
        served = current.version if current else 0
        earlier = [number for number in self.versions(model) if number < served]
        if not earlier:
            raise StoreError(f"{self.address}: model {model} has no version before {served} to roll back to")
        # After a rollback `previous` is the newer one: a second rollback must go further back, not forth.
        return current.previous if current and current.previous in earlier else earlier[-1]

    def _pin(self, model: str, version: int) -> Pointer:
        faults = self.verify(model, version)
        if faults:
            raise StoreError(f"{model} version {version} is not whole and is not served: {'; '.join(faults)}")

        def pinned(current: Pointer | None) -> Pointer:
            previous = None
            if current is not None:
                previous = current.previous if current.version == version else current.version
            return Pointer(version, True, previous, pointer.now())

        return self._moved(model, pinned)

    def _all_served(self, moved: Mapping[str, int] | None = None) -> dict[str, int]:
        """What is served of each model; versions in `moved` go before the pointers."""
        moved = moved or {}
        names = sorted({*(self.models() if self._exists() else ()), *moved})
        served = {name: moved[name] if name in moved else self._served_if_readable(name) for name in names}
        return {name: version for name, version in served.items() if version is not None}

    def _served_if_readable(self, model: str) -> int | None:
        try:
            return self.served(model)
        except (GraftError, OSError) as error:
            # A model that cannot be read must not stop the others.
            logger.error("%s: left out of %s: %s", model, MODELS_CONFIG, error)
            return None

    def _retain(self, model: str, protect: Iterable[int]) -> None:
        try:
            current = self.current(model)
            versions = self.versions(model)
        except (GraftError, OSError) as error:
            # The push itself is done; the next one tries again.
            logger.error("%s: old versions are not deleted: %s", model, error)
            return
        wanted = {*versions[-self.keep :], *((current.version, current.previous) if current else ()), *protect}
        for version in versions:
            if version in wanted:
                continue
            try:
                self._drop_version(model, version)
            except (GraftError, OSError) as error:
                logger.error("%s could not be deleted: %s", self.version_address(model, version), error)
            else:
                logger.info("%s version %d deleted: the store keeps the newest %d", model, version, self.keep)
