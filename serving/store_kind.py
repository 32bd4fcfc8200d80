"""What a kind of model store has to answer and to do; the rules that all kinds share are in `serving.store`."""

import abc
import contextlib
import pathlib
from collections.abc import Mapping
from typing import Any

from graft.serving.pointer import Pointer, StoreError

STORE_ID = "STORE"
MODELS_CONFIG = "models.config"
S3 = "s3://"


class Outrun(Exception):
    """Another writer was faster: what a conditional write went by is no longer so. Kinds with a lock never raise it."""


class StoreKind(abc.ABC):
    """Where the versions of models lie.

    Attributes:
        address: of the store, for messages and for `serving.store.open_store`.
        keep: how many newest versions of a model retention leaves.
        is_local: whether versions lie in folders of this machine from the start.
    """

    reserved: tuple[str, ...] = (STORE_ID, MODELS_CONFIG)
    is_local = True

    def __init__(self, address: str, keep: int):
        if keep < 1:
            raise StoreError(f"keep={keep}: the store keeps at least 1 version")
        self.address = address
        self.keep = keep

    # What a kind of store answers. Reading takes no lock.

    @property
    @abc.abstractmethod
    def local_root(self) -> pathlib.Path:
        """The folder of this machine below which `version_path` lies."""

    @property
    @abc.abstractmethod
    def store_id(self) -> str:
        """A uuid that tells this store from others; made at first use."""

    @abc.abstractmethod
    def models(self) -> list[str]:
        """Names of the models that have a version. Raises StoreError if there is no store."""

    @abc.abstractmethod
    def versions(self, model: str) -> list[int]:
        """Versions of `model` in rising order, empty if it has none."""

    @abc.abstractmethod
    def manifest(self, model: str, version: int) -> dict[str, Any]:
        """The manifest of a version: `files`, `metadata` as given to `push`, `time`, `model`, `version`."""

    @abc.abstractmethod
    def version_path(self, model: str, version: int) -> pathlib.Path:
        """Local folder of one version, brought here if need be.

        Raises:
            StoreError: the store does not have it (what there is, is named), or it cannot be brought here whole.
        """

    @abc.abstractmethod
    def places(self, model: str) -> dict[int, pathlib.Path]:
        """Where `version_path` of each version is or will be; brings nothing. Another content is another place."""

    @abc.abstractmethod
    def version_address(self, model: str, version: int) -> str:
        """Where one version lies in the store, for people and for other programs."""

    @abc.abstractmethod
    def foreign(self) -> list[str]:
        """What lies in the store and is not the store's: a line each. It is never touched, listed or served."""

    def unfinished(self) -> list[str]:
        """What a writer has begun and not ended, where others can see that: a line each."""
        return []

    def require_writable(self) -> None:  # noqa: B027 - a kind may have nothing to ask beforehand
        """Asks what can be asked before a push, so that hours of training do not end at its door. Raises StoreError."""

    def mark(self) -> str | None:
        """A sign, cheap to get, that stays the same while no pointer moves; None: not known, look at all pointers."""
        return None

    @abc.abstractmethod
    def write_models_config(self) -> str:
        """Writes `models.config` for tensorflow_model_server from the pointers as they are now; returns its address."""

    @abc.abstractmethod
    def _exists(self) -> bool:
        """Whether anything was ever written here."""

    @abc.abstractmethod
    def _base_path(self, model: str) -> str:
        """What `models.config` says of where a model's versions lie."""

    @abc.abstractmethod
    def _read_config(self) -> bytes | None:
        """Content of `models.config`; None if it cannot be read."""

    @abc.abstractmethod
    def _pointer_address(self, model: str) -> str:
        """Of the pointer, for messages."""

    @abc.abstractmethod
    def _read_pointer(self, model: str) -> tuple[bytes, str | None]:
        """Content of the pointer, and what a conditional write goes by. Raises FileNotFoundError, PointerError."""

    @abc.abstractmethod
    def _problems(self, model: str, version: int) -> list[str]:
        """What in a version is not as its manifest says: a line each."""

    # What a kind of store does. `_writing` is open around all the others.

    @abc.abstractmethod
    def _writing(self, model: str, action: str, create: bool = False) -> contextlib.AbstractContextManager[None]:
        """Holds the lock, if there is one; starts without leftovers of dead writers; says what is served on failure."""

    @abc.abstractmethod
    def _add_version(
        self,
        model: str,
        source: pathlib.Path,
        beside: Mapping[str, pathlib.Path],
        files: dict[str, Any],
        metadata: dict[str, Any],
    ) -> int:
        """Stores `source`, and files `beside` it by their names in the version, as the next version.

        Readers see it when it is whole; after an error nothing stays.
        """

    @abc.abstractmethod
    def _drop_version(self, model: str, version: int) -> None:
        """Deletes a version so that no reader takes what is left halfway for a version. Raises OSError, StoreError."""

    @abc.abstractmethod
    def _write_pointer(self, model: str, moved: Pointer | None, seen: str | None) -> None:
        """Moves the pointer (None leaves it) and makes `models.config` follow.

        Raises:
            Outrun: the pointer is not as it was `seen`; nothing has moved.
            OSError, GraftError: nothing has moved, or nobody knows what a crash leaves.
        """
