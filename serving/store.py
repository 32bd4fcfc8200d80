"""The model store: whole versions, pushed atomically, and a pointer to the one that is served.

Layout (a TensorFlow Serving base path per model; only folders named by a number are versions):

    <store>/STORE                          id of the store
    <store>/models.config                  ModelServerConfig for tensorflow_model_server, follows the pointers
    <store>/<model>/CURRENT                JSON pointer: version, pinned, previous, time
    <store>/<model>/<version>/...          a SavedModel and its graft_manifest.json

A push copies to `.tmp-<uuid>`, syncs, renames to the next number and only then moves the pointer, so a reader sees the
old version or the whole new one, whenever the writer dies. Writers of one model wait for each other (flock). The
store must lie on a POSIX filesystem.
"""

import contextlib
import dataclasses
import logging
import pathlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graft.models import durable
from graft.models.errors import GraftError
from graft.serving import manifest, model_config, pointer
from graft.serving.pointer import Pointer, PointerError, StoreError
from graft.serving.versions import MAX_VERSION, check_model_name, is_model_name, version_folders, version_number

STORE_ID = "STORE"
MODELS_CONFIG = "models.config"
RESERVED = (STORE_ID, MODELS_CONFIG)
_LOCK = ".lock"
_MAX_ID_BYTES = 4096

logger = logging.getLogger(__name__)


class ModelStore:
    """Versions of models in a folder.

    Args:
        path: the folder; made by the first push.
        keep: how many newest versions of a model retention leaves (at least 1). The served, the previous and a
            pinned version stay whatever their age.
    """

    def __init__(self, path: str | pathlib.Path, keep: int = 5):
        if "://" in str(path):
            raise StoreError(f"store {path}: not a local path; atomic pushes need a POSIX filesystem (mount it)")
        if keep < 1:
            raise StoreError(f"keep={keep}: the store keeps at least 1 version")
        self.path = pathlib.Path(path).absolute()
        self.keep = keep

    # Reading takes no lock: names appear only when whole, and the pointer is replaced in one step.

    def models(self) -> list[str]:
        """Names of the models that have a version. Raises StoreError if there is no store."""
        if not self.path.is_dir():
            raise StoreError(f"store {self.path}: no such folder; a first push makes it")
        return sorted(
            path.name
            for path in self.path.iterdir()
            if is_model_name(path.name) and path.is_dir() and self._has_versions(path)
        )

    def versions(self, model: str) -> list[int]:
        """Versions of `model` in rising order, empty if it has none."""
        return list(self._folders(model))

    def version_path(self, model: str, version: int) -> pathlib.Path:
        """Folder of one version. Raises StoreError, naming what there is, if the store does not have it."""
        folders = self._folders(model)
        if version not in folders:
            have = ", ".join(map(str, folders)) or "none"
            raise StoreError(f"{self.path}: model {model} has no version {version}; there are: {have}")
        return folders[version]

    def manifest(self, model: str, version: int) -> dict[str, Any]:
        """The manifest of a version: `files`, `metadata` as given to `push`, `time`, `model`, `version`."""
        return manifest.read(self.version_path(model, version))

    def current(self, model: str) -> Pointer | None:
        """The pointer of `model`, or None if nothing was ever pushed under that name.

        Raises:
            PointerError: versions exist but the pointer is missing, corrupt or names a version that is gone.
        """
        folders = self._folders(model)
        path = self._base(model) / pointer.NAME
        advice = "`graft models rollback` with a version, a push, or ModelStore.recover sets it again"
        try:
            found = pointer.read(path)
        except FileNotFoundError:
            if not folders:
                return None
            raise PointerError(f"{path}: missing, though the model has versions; {advice}") from None
        except PointerError as error:
            raise PointerError(f"{error}; {advice}") from error
        if found.version not in folders:
            raise PointerError(f"{path}: names version {found.version!r}, which is not in the store; {advice}")
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
            return [f"{model}/{version}/{fault}" for fault in self._problems(self.version_path(model, version))]
        faults = []
        try:
            if self.current(model) is None:
                raise StoreError(f"{self.path}: no model {model}; there are: {', '.join(self.models()) or 'none'}")
        except PointerError as error:
            faults.append(str(error))
        for number, folder in self._folders(model).items():
            faults += [f"{model}/{number}/{fault}" for fault in self._problems(folder)]
        return faults

    @property
    def store_id(self) -> str:
        """A uuid that tells this store from others; made at first use."""
        path = self._create()
        try:
            return str(uuid.UUID(durable.read_small(path, _MAX_ID_BYTES).decode().strip()))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: no id of a store ({error}); it holds one uuid, made at first use") from error

    # Writing: always with the model's lock held.

    def push(
        self, model: str, saved_model_dir: str | pathlib.Path, metadata: dict[str, Any], protect: Iterable[int] = ()
    ) -> int:
        """Stores a SavedModel as the next version and, unless the model is pinned, serves it.

        Content identical to the served version (or to a newest version whose push died before its pointer moved) is
        not copied again: that version is returned.

        Args:
            model: name of the model.
            saved_model_dir: folder with saved_model.pb.
            metadata: JSON values to keep in the manifest (run id, config, metrics, ...).
            protect: versions that retention leaves this time, whatever their age.

        Returns:
            The version. It is served if `current(model).version` says so; a pinned pointer stays where it is.

        Raises:
            StoreError: no SavedModel there, or it could not be written (disk full, ...): nothing new stays in the
                store, and the message says what is served.
        """
        source = pathlib.Path(saved_model_dir)
        if not (source / "saved_model.pb").is_file() and not (source / "saved_model.pbtxt").is_file():
            raise StoreError(f"{source}: no saved_model.pb there; a push takes the folder of a SavedModel")
        with self._writing(model, "push", create=True):
            version = self._push_locked(model, source, metadata)
            self._retain(model, protect)
            return version

    def _push_locked(self, model: str, source: pathlib.Path, metadata: dict[str, Any]) -> int:
        base = self._base(model)
        files = manifest.describe(source)
        current = self._recovered(model)
        versions = self.versions(model)
        served = [current.version] if current else []
        for version in dict.fromkeys(served + versions[-1:]):
            if self._holds(model, version, files):
                logger.info("%s version %d has the same content: not copied again", model, version)
                self._serve_pushed(model, version, current)
                return version
        version = self._next_version(base)
        temporary, target = durable.temporary_path(base), base / str(version)
        try:
            content = manifest.encode(model, version, pointer.now(), files, metadata)
            durable.copy_tree(source, temporary, *manifest.list_tree(source))
            if manifest.describe(temporary) != files:
                raise StoreError(f"{source} changed while it was copied; push again when its writer has ended")
            durable.write_synced(temporary / manifest.NAME, content)
            durable.sync_folder(temporary)
            temporary.rename(target)
        except BaseException:
            durable.discard(temporary)
            raise
        try:
            durable.sync_folder(base)
            self._serve_pushed(model, version, current)
        except BaseException:
            if not self._is_served(model, version):
                durable.discard(target)
            raise
        return version

    def rollback(self, model: str, version: int | None = None) -> Pointer:
        """Serves the previous version (or `version`) and pins it: the next push must not undo a rollback silently.

        A later push is stored but not served until `unpin(model)` and a push, or `rollback`/`pin` to it.

        Raises:
            StoreError: there is no earlier version, or the wanted one is not whole.
        """
        with self._writing(model, "rollback"):
            if version is None:
                current = self.current(model)
                served = current.version if current else 0
                earlier = [number for number in self.versions(model) if number < served]
                if not earlier:
                    raise StoreError(f"{self.path}: model {model} has no version before {served} to roll back to")
                # After a rollback `previous` is the newer one: a second rollback must go further back, not forth.
                version = current.previous if current and current.previous in earlier else earlier[-1]
            return self._pin_locked(model, version)

    def pin(self, model: str, version: int) -> Pointer:
        """Serves `version` and holds it there against later pushes. Raises StoreError if it is not whole."""
        with self._writing(model, "pin"):
            return self._pin_locked(model, version)

    def unpin(self, model: str) -> Pointer:
        """Lets the next push be served again; the served version does not change now."""
        with self._writing(model, "unpin"):
            current = self.current(model)
            if current is None:
                raise StoreError(f"{self.path}: no model {model}")
            unpinned = dataclasses.replace(current, pinned=False, time=pointer.now())
            self._write_pointer(model, unpinned)
            return unpinned

    def recover(self, model: str) -> Pointer:
        """Sets a missing or corrupt pointer to the newest whole version; a sound pointer is left as it is."""
        with self._writing(model, "recover"):
            current = self._recovered(model)
            if current is None:
                raise StoreError(f"{self.path}: model {model} has no whole version to recover")
            return current

    def write_models_config(self) -> pathlib.Path:
        """Writes `models.config` for tensorflow_model_server from the pointers as they are now; returns its path."""
        path = self.path / MODELS_CONFIG
        with durable.locked(self.path / _LOCK):
            durable.sweep(self.path)
            durable.write_atomic(path, self.models_config().encode())
        return path

    def models_config(self, moved: Mapping[str, int] | None = None) -> str:
        """What `models.config` should say; versions in `moved` go before the pointers."""
        moved = moved or {}
        names = sorted({*(self.models() if self.path.is_dir() else ()), *moved})
        served = {name: moved[name] if name in moved else self._served_if_readable(name) for name in names}
        return model_config.format_models_config(
            [(name, self.path / name, version) for name, version in served.items() if version is not None]
        )

    def _create(self) -> pathlib.Path:
        path = self.path / STORE_ID
        if not path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            with durable.locked(self.path / _LOCK):
                if not path.exists():
                    durable.write_atomic(path, f"{uuid.uuid4()}\n".encode())
        return path

    def _base(self, model: str) -> pathlib.Path:
        if model in RESERVED:
            raise StoreError(f"model name {model!r} is not allowed: the store has a file of that name")
        return self.path / check_model_name(model)

    def _problems(self, folder: pathlib.Path) -> list[str]:
        return manifest.problems(folder, self.path)

    def _folders(self, model: str) -> dict[int, pathlib.Path]:
        base = self._base(model)
        return version_folders(base) if base.is_dir() else {}

    @contextlib.contextmanager
    def _writing(self, model: str, action: str, create: bool = False) -> Iterator[None]:
        """Holds the model's lock; starts without leftovers of dead writers. A failure says what is served now."""
        base = self._base(model)
        if not create and not base.is_dir():
            raise StoreError(f"{self.path}: no model {model}; there are: {', '.join(self.models()) or 'none'}")
        try:
            if create:
                self._create()
                base.mkdir(exist_ok=True)
                durable.sync_folder(self.path)
            leaving = manifest.leaving_links(base, self.path) if base.is_symlink() else []
            if leaving:
                raise StoreError(f"{action} of {model}: a link leads out of the store {self.path}: {leaving[0]}")
            with durable.locked(base / _LOCK):
                durable.sweep(base)
                yield
        except OSError as error:
            raise StoreError(f"{action} of {model} in {self.path} failed: {error}; {self._serving(model)}") from error

    def _serving(self, model: str) -> str:
        try:
            current = self.current(model)
        except (GraftError, OSError):
            return "what the pointer says cannot be read now; see `graft models verify`"
        return f"version {current.version} is served" if current else "no version is served"

    def _has_versions(self, base: pathlib.Path) -> bool:
        try:
            return bool(version_folders(base))
        except OSError as error:
            # One folder that cannot be read must not take the other models away.
            logger.error("%s: cannot be listed: %s", base, error.strerror)
            return False

    def _newest_whole(self, model: str) -> int | None:
        for version, folder in reversed(self._folders(model).items()):
            if not self._problems(folder):
                return version
        return None

    def _recovered(self, model: str) -> Pointer | None:
        """The pointer; a broken one is first replaced by what the recovery rule gives. The caller holds the lock."""
        try:
            return self.current(model)
        except PointerError as error:
            version = self._newest_whole(model)
            logger.error("%s; recovered: the newest whole version is %s", error, version)
            if version is None:
                return None
            recovered = Pointer(version, False, None, pointer.now())
            self._write_pointer(model, recovered)
            return recovered

    def _holds(self, model: str, version: int, files: dict[str, Any]) -> bool:
        folder = self.version_path(model, version)
        return not self._problems(folder) and manifest.read(folder)["files"] == files

    def _is_served(self, model: str, version: int) -> bool:
        try:
            current = self.current(model)
        except PointerError:
            return False
        return current is not None and current.version == version

    def _next_version(self, base: pathlib.Path) -> int:
        # Files and links with such names count too: a push replaces nothing that it did not make.
        taken = [number for path in base.iterdir() if (number := version_number(path.name)) is not None]
        if max(taken, default=0) == MAX_VERSION:
            raise StoreError(f"{base}: version {MAX_VERSION} is there, and no larger number exists; remove that folder")
        return max(taken, default=0) + 1

    def _serve_pushed(self, model: str, version: int, current: Pointer | None) -> None:
        moved = None
        if current is None or (current.version != version and not current.pinned):
            moved = Pointer(version, False, current.version if current else None, pointer.now())
        elif current.version != version:
            logger.warning(
                "%s is pinned to version %d: version %d is stored but not served; `graft models unpin` and push again, "
                "or pin the new version",
                model,
                current.version,
                version,
            )
        self._write_pointer(model, moved)

    def _pin_locked(self, model: str, version: int) -> Pointer:
        faults = self.verify(model, version)
        if faults:
            raise StoreError(f"{model} version {version} is not whole and is not served: {'; '.join(faults)}")
        current = self._recovered(model)
        previous = None
        if current is not None:
            previous = current.previous if current.version == version else current.version
        pinned = Pointer(version, True, previous, pointer.now())
        self._write_pointer(model, pinned)
        return pinned

    def _write_pointer(self, model: str, moved: Pointer | None) -> None:
        """Moves the pointer (None leaves it) and makes models.config follow. The caller holds the model's lock.

        All that can be refused is written beside its place before the pointer moves; then only names change.

        Raises:
            OSError, GraftError: nothing has moved, or (fsync of the folder failed) nobody knows what a crash leaves.
        """
        config, path = self.path / MODELS_CONFIG, self._base(model) / pointer.NAME
        with durable.locked(self.path / _LOCK):
            durable.sweep(self.path)
            if config.is_dir():
                raise StoreError(f"{config}: a folder; the store writes a file there. Nothing has moved; remove it")
            text = self.models_config({model: moved.version} if moved else {})
            with durable.staged(config, text.encode()) as replace:
                try:
                    if moved is not None:
                        durable.write_atomic(path, moved.encode())
                finally:
                    if moved is None or self._is_served(model, moved.version):
                        try:
                            replace()
                        except OSError as error:
                            # Not taken back: the pointer is what counts, and the next change writes the file anew.
                            logger.error("%s could not follow the pointer of %s: %s", config, model, error)
        if moved is not None:
            logger.info("%s: version %d is served%s", model, moved.version, " (pinned)" if moved.pinned else "")

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
            folders = self._folders(model)
        except (GraftError, OSError) as error:
            # The push itself is done; the next one tries again.
            logger.error("%s: old versions are not deleted: %s", model, error)
            return
        wanted = {*list(folders)[-self.keep :], *((current.version, current.previous) if current else ()), *protect}
        for version, folder in folders.items():
            if version in wanted:
                continue
            try:
                durable.discard(folder)
            except OSError as error:
                logger.error("%s could not be deleted: %s", folder, error)
            else:
                logger.info("%s version %d deleted: the store keeps the newest %d", model, version, self.keep)
