"""The versions of a model that can be watched: those whose reference the store has, or had when they were first met.

A copy of each reference lies beside the monitor's results, so that a version that retention takes from the store
meanwhile is watched to its end, and a window is always judged by the bins that it was counted in.
"""

import dataclasses
import functools
import json
import pathlib
from typing import TYPE_CHECKING

from graft.models import durable
from graft.models.errors import GraftError, one_line
from graft.models.signals.reference import MAX_BYTES, PLACE, Reference
from graft.monitoring.duration import seconds

if TYPE_CHECKING:
    from graft.models.inputs.base import Input, Watcher
    from graft.models.targets.base import Target

FOLDER = "references"


@dataclasses.dataclass(frozen=True)
class Watched:
    """A version with its reference.

    Attributes:
        version: its number.
        reference: how its signals lay.
        pushed: seconds since 1970; None where the store does not say.
    """

    version: int
    reference: Reference
    pushed: float | None

    @functools.cached_property
    def input(self) -> "Input":
        """What it takes."""
        return self.reference.restored_input()

    @functools.cached_property
    def target(self) -> "Target":
        """What it answers."""
        return self.reference.restored_target()

    @functools.cached_property
    def watch(self) -> "Watcher":
        """The signals of a content."""
        return self.reference.watcher()


class References:
    """Finds versions' references; may be pickled, and be used by several processes at once.

    Args:
        folder: of the monitor.
        store: address of the model store.
        model: its name.

    Attributes:
        missing: versions that were asked for and have none, and why.
    """

    def __init__(self, folder: pathlib.Path, store: str, model: str):
        self._folder, self._store, self._model = folder / FOLDER, store, model
        self._found: dict[int, Watched] = {}
        self.missing: dict[int, str] = {}

    def __reduce__(self):
        return type(self), (self._folder.parent, self._store, self._model)

    def get(self, version: int) -> Watched | None:
        """A version, None if it has no reference.

        Raises:
            GraftError: the store cannot be asked, or a reference is damaged or is not what it was.
        """
        if version in self._found or version in self.missing:
            return self._found.get(version)
        copy = self._folder / f"{version}.json"
        if not copy.is_file():
            self._bring(version, copy)
        if version not in self.missing:
            self._found[version] = self._read(version, copy)
        return self._found.get(version)

    def check(self) -> None:
        """Whether the store still has the references that were copied. Raises GraftError where one is another."""
        store = self._open()
        if not store.is_local or self._model not in store.models():
            return
        for version in store.versions(self._model):
            copy, place = self._folder / f"{version}.json", store.version_path(self._model, version) / PLACE
            if not copy.is_file() or not place.is_file():
                continue
            if self._read(version, copy).reference.encode() != Reference.load(place).encode():
                raise GraftError(
                    f"{place}: version {version} is not the one that {self._folder.parent} watches; give "
                    "monitoring.drift.folder another name"
                )

    def _open(self):
        from graft.serving.store import open_store

        return open_store(self._store)

    def _bring(self, version: int, copy: pathlib.Path) -> None:
        store = self._open()
        if self._model not in store.models() or version not in store.versions(self._model):
            self.missing[version] = f"version {version} is not in the store {self._store}"
            return
        place = store.version_path(self._model, version) / PLACE
        if not place.is_file():
            self.missing[version] = f"version {version} has no reference ({place}): an older Graft pushed it"
            return
        reference = Reference.load(place)
        content = {"pushed": seconds(store.manifest(self._model, version).get("time"))}
        content["reference"] = json.loads(reference.encode())
        self._folder.mkdir(parents=True, exist_ok=True)
        durable.write_atomic(copy, json.dumps(content).encode())

    def _read(self, version: int, copy: pathlib.Path) -> Watched:
        try:
            content = json.loads(durable.read_small(copy, 2 * MAX_BYTES))
            pushed, reference = content["pushed"], json.dumps(content["reference"]).encode()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GraftError(f"{copy}: damaged: {one_line(error)}; delete it, the store has the reference") from error
        return Watched(version, Reference.parse(reference, str(copy)), pushed)
