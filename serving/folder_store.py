"""A model store in a folder of a POSIX filesystem.

Layout (a TensorFlow Serving base path per model; only folders named by a number are versions):

    <store>/STORE                          id of the store
    <store>/models.config                  ModelServerConfig for tensorflow_model_server, follows the pointers
    <store>/<model>/CURRENT                JSON pointer: version, pinned, previous, time
    <store>/<model>/<version>/...          a SavedModel and its graft_manifest.json

A push copies to `.tmp-<uuid>`, syncs, renames to the next number and only then moves the pointer. Writers of one model
wait for each other (flock).
"""

import contextlib
import logging
import os
import pathlib
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from graft.models import durable
from graft.serving import manifest, pointer
from graft.serving.model_store import ModelStore
from graft.serving.pointer import Pointer, StoreError
from graft.serving.store_kind import MODELS_CONFIG, STORE_ID
from graft.serving.versions import MAX_VERSION, is_model_name, version_folders, version_number

_LOCK = ".lock"
_MAX_ID_BYTES = 4096
_MAX_CONFIG_BYTES = 64 << 20

logger = logging.getLogger(__name__)


class FolderStore(ModelStore):
    """Versions of models in a folder.

    Args:
        path: the folder; made by the first push.
        keep: as for `serving.store.open_store`.

    Attributes:
        path: the folder, absolute.
    """

    def __init__(self, path: str | os.PathLike, keep: int = 5):
        self.path = pathlib.Path(path).absolute()
        super().__init__(str(self.path), keep)

    # Reading: names appear only when whole, and the pointer is replaced in one step.

    @property
    def local_root(self) -> pathlib.Path:
        return self.path

    @property
    def store_id(self) -> str:
        path = self._create()
        try:
            return str(uuid.UUID(durable.read_small(path, _MAX_ID_BYTES).decode().strip()))
        except (OSError, ValueError) as error:
            raise StoreError(f"{path}: no id of a store ({error}); it holds one uuid, made at first use") from error

    def models(self) -> list[str]:
        if not self.path.is_dir():
            raise StoreError(f"store {self.path}: no such folder; a first push makes it")
        return sorted(
            path.name
            for path in self.path.iterdir()
            if is_model_name(path.name) and path.is_dir() and self._has_versions(path)
        )

    def versions(self, model: str) -> list[int]:
        return list(self._folders(model))

    def manifest(self, model: str, version: int) -> dict[str, Any]:
        return manifest.read(self.version_path(model, version))

    def version_path(self, model: str, version: int) -> pathlib.Path:
        folders = self._folders(model)
        if version not in folders:
            self._require(model, version)
            folders = self._folders(model)
        return folders[version]

    def places(self, model: str) -> dict[int, pathlib.Path]:
        return self._folders(model)

    def version_address(self, model: str, version: int) -> str:
        return str(self._folders(model).get(version, self._base(model) / str(version)))

    def foreign(self) -> list[str]:
        found = []
        for path in sorted(self.path.iterdir()):
            if path.name in self.reserved or path.name.startswith("."):
                continue
            if not is_model_name(path.name) or not path.is_dir():
                found.append(f"{path.name!r}: no folder of a model; left alone")
                continue
            try:
                inside = sorted(path.iterdir())
            except OSError as error:
                found.append(f"{path.name!r}: cannot be listed: {error.strerror}")
                continue
            names = {folder.name for folder in version_folders(path).values()} | {pointer.NAME}
            strays = [entry.name for entry in inside if entry.name not in names and not entry.name.startswith(".")]
            found += [f"'{path.name}/{name}': no version of the model; left alone" for name in strays]
        return found

    def write_models_config(self) -> str:
        path = self.path / MODELS_CONFIG
        with durable.locked(self.path / _LOCK):
            durable.sweep(self.path)
            durable.write_atomic(path, self.models_config().encode())
        return str(path)

    def _exists(self) -> bool:
        return self.path.is_dir()

    def _base_path(self, model: str) -> str:
        return str(self.path / model)

    def _read_config(self) -> bytes | None:
        try:
            return durable.read_small(self.path / MODELS_CONFIG, _MAX_CONFIG_BYTES)
        except OSError:
            return None

    def _pointer_address(self, model: str) -> str:
        return str(self._base(model) / pointer.NAME)

    def _read_pointer(self, model: str) -> tuple[bytes, str | None]:
        return pointer.read(self._base(model) / pointer.NAME), None

    def _problems(self, model: str, version: int) -> list[str]:
        return manifest.problems(self.version_path(model, version), self.path)

    def _base(self, model: str) -> pathlib.Path:
        return self.path / self._check_name(model)

    def _folders(self, model: str) -> dict[int, pathlib.Path]:
        base = self._base(model)
        return version_folders(base) if base.is_dir() else {}

    def _has_versions(self, base: pathlib.Path) -> bool:
        try:
            return bool(version_folders(base))
        except OSError as error:
            # One folder that cannot be read must not take the other models away.
            logger.error("%s: cannot be listed: %s", base, error.strerror)
            return False

    # Writing: always with the model's lock held.

    def _create(self) -> pathlib.Path:
        path = self.path / STORE_ID
        if not path.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            with durable.locked(self.path / _LOCK):
                if not path.exists():
                    durable.write_atomic(path, f"{uuid.uuid4()}\n".encode())
        return path

    @contextlib.contextmanager
    def _writing(self, model: str, action: str, create: bool = False) -> Iterator[None]:
        base = self._base(model)
        if not create and not base.is_dir():
            raise self._no_model(model)
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

    def _add_version(
        self,
        model: str,
        source: pathlib.Path,
        beside: Mapping[str, pathlib.Path],
        files: dict[str, Any],
        metadata: dict[str, Any],
    ) -> int:
        base = self._base(model)
        version = self._next_version(base)
        temporary, target = durable.temporary_path(base), base / str(version)
        try:
            content = manifest.encode(model, version, pointer.now(), files, metadata)
            durable.copy_tree(source, temporary, *manifest.list_tree(source), beside)
            if manifest.describe(temporary) != files:
                raise manifest.changed(source)
            durable.write_synced(temporary / manifest.NAME, content)
            durable.sync_folder(temporary)
            temporary.rename(target)
        except BaseException:
            durable.discard(temporary)
            raise
        try:
            durable.sync_folder(base)
        except BaseException:
            durable.discard(target)
            raise
        return version

    def _next_version(self, base: pathlib.Path) -> int:
        # Files and links with such names count too: a push replaces nothing that it did not make.
        taken = [number for path in base.iterdir() if (number := version_number(path.name)) is not None]
        if max(taken, default=0) == MAX_VERSION:
            raise StoreError(f"{base}: version {MAX_VERSION} is there, and no larger number exists; remove that folder")
        return max(taken, default=0) + 1

    def _drop_version(self, model: str, version: int) -> None:
        durable.discard(self.version_path(model, version))

    def _write_pointer(self, model: str, moved: Pointer | None, seen: str | None) -> None:
        """See `StoreKind`. All that can be refused is written beside its place first; then only names change."""
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
                    if moved is None or self._may_be_served(model, moved.version):
                        try:
                            replace()
                        except OSError as error:
                            # Not taken back: the pointer is what counts, and the next change writes the file anew.
                            logger.error("%s could not follow the pointer of %s: %s", config, model, error)
        if moved is not None:
            logger.info("%s: version %d is served%s", model, moved.version, " (pinned)" if moved.pinned else "")
