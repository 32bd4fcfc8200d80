"""Series of a model store: versions, which one its pointer names, when the newest was pushed."""

import datetime
from collections.abc import Iterator

from graft.models.errors import GraftError
from graft.monitoring.exposition import head, line
from graft.serving.pointer import PointerError
from graft.serving.store import ModelStore, open_store

_SERIES = {
    "graft_store_versions": "Versions of a model in the store.",
    "graft_store_newest_version": "The newest of them.",
    "graft_store_served_version": "The version that the pointer names.",
    "graft_store_pinned": "Whether the pointer is held against pushes.",
    "graft_store_pointer_broken": "Whether the pointer is missing or damaged.",
    "graft_store_manifest_broken": "Whether the newest version's manifest cannot be read.",
    "graft_store_pushed_timestamp_seconds": "When the newest version was pushed, since 1970.",
    "graft_store_pointer_moved_timestamp_seconds": "When the pointer moved, since 1970.",
}


class Store:
    """One model store.

    Args:
        address: a folder or s3://.
    """

    def __init__(self, address: str):
        self._address = address
        self._store: ModelStore | None = None
        self._pushed: dict[tuple[str, int], float] = {}  # a version does not change

    def lines(self) -> list[str]:
        """All series in the text format. Raises GraftError: the store cannot be read."""
        if self._store is None:
            self._store = open_store(self._address)
        try:
            found = {model: self._of(self._store, model) for model in self._store.models()}
        except OSError as error:
            raise GraftError(f"{self._address}: {error.strerror}") from error
        return list(_lines(found))

    def _of(self, store: ModelStore, model: str) -> dict[str, float]:
        values: dict[str, float] = {}
        versions = store.versions(model)
        values["graft_store_versions"] = len(versions)
        try:
            pointer = store.current(model)
        except PointerError:
            pointer = None
            values["graft_store_pointer_broken"] = 1
        else:
            values["graft_store_pointer_broken"] = 0
        if pointer is not None:
            values["graft_store_served_version"] = pointer.version
            values["graft_store_pinned"] = int(pointer.pinned)
            values["graft_store_pointer_moved_timestamp_seconds"] = _seconds(pointer.time)
        if versions:
            newest = versions[-1]
            values["graft_store_newest_version"] = newest
            values["graft_store_manifest_broken"] = 0
            try:
                if (model, newest) not in self._pushed:
                    self._pushed[model, newest] = _seconds(store.manifest(model, newest).get("time"))
                values["graft_store_pushed_timestamp_seconds"] = self._pushed[model, newest]
            except GraftError:  # of one version: it hides no other model
                values["graft_store_manifest_broken"] = 1
        return values


def _seconds(iso: str | None) -> float:
    """Raises GraftError: it is no time."""
    try:
        return datetime.datetime.fromisoformat(iso or "").timestamp()
    except (ValueError, TypeError) as error:
        raise GraftError(f"{iso!r} is no time (ISO 8601)") from error


def _lines(found: dict[str, dict[str, float]]) -> Iterator[str]:
    for name, text in _SERIES.items():
        yield from head(name, "gauge", text)
        yield from (line(name, [("model", model)], values[name]) for model, values in found.items() if name in values)
