"""Brings together what a monitor's report is made of: results, counters, references, the store. It changes nothing."""

import collections
import dataclasses
import functools
import pathlib
from typing import TYPE_CHECKING

from graft.models.errors import GraftError
from graft.monitoring.drift import results, state
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.drift.results import Test, Window
from graft.monitoring.drift.watched import References, Watched
from graft.monitoring.duration import seconds
from graft.monitoring.retrain import audit

if TYPE_CHECKING:
    from graft.monitoring.drift.monitor import Place
    from graft.serving.pointer import Pointer

MOST_WINDOWS = 400
"""Newest windows that are looked at; a report has the same size after a year."""


@dataclasses.dataclass(frozen=True)
class Push:
    """A version of the store.

    Attributes:
        version: its number.
        time: seconds since 1970; None where the store does not say.
        run: id of the run that pushed it; may be empty.
    """

    version: int
    time: float | None
    run: str


@dataclasses.dataclass
class Findings:
    """What is known of a model.

    Attributes:
        place: what is watched.
        options: of the monitor.
        now: seconds since 1970.
        asked: the version that the report is to be of; None for the newest one with a window.
        windows: the newest, in the order in which they were judged.
        dropped: windows before those.
        seen: what the monitor has counted; None where its state is gone.
        pushes: versions in the store.
        pointer: what is served; None where nothing is or the store does not say.
        actions: events of retraining, oldest first.
        faults: what could not be read, a line each.
    """

    place: "Place"
    options: DriftOptions
    now: float
    asked: int | None = None
    windows: list[Window] = dataclasses.field(default_factory=list)
    dropped: int = 0
    seen: state.Seen | None = None
    pushes: list[Push] = dataclasses.field(default_factory=list)
    pointer: "Pointer | None" = None
    actions: list[audit.Event] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def version(self) -> int | None:
        """The version that the report is of."""
        if self.asked is not None:
            return self.asked
        return max((window.version for window in self.windows), default=None)

    def of(self, kind: str) -> list[Window]:
        """The version's windows of a kind, `requests` or `labels`."""
        return [window for window in self.windows if window.version == self.version and window.kind == kind]

    def last(self, kind: str) -> Window | None:
        """The newest of these."""
        return next(reversed(self.of(kind)), None)

    @functools.cached_property
    def watched(self) -> Watched | None:
        """The version with its reference; None where that cannot be read, which `faults` then tells."""
        if self.version is None:
            return None
        references = References(self.place.folder, self.place.store, self.place.model)
        try:
            found = references.get(self.version)
        except GraftError as error:
            self.faults.append(str(error))
            return None
        self.faults += references.missing.values()
        return found

    @property
    def tests(self) -> list[Test]:
        """The last comparisons with what should be, alarms first, then by effect; one of each signal."""
        chosen: dict[str, Test] = {}
        for window in filter(None, (self.last("requests"), self.last("labels"))):
            for test in (test for test in window.tests if test.against != "previous"):
                if test.signal not in chosen or (test.alarm and not chosen[test.signal].alarm):
                    chosen[test.signal] = test
        return sorted(chosen.values(), key=lambda test: (not test.alarm, -test.effect, test.signal))


def find(
    place: "Place", options: DriftOptions, now: float, version: int | None = None, retrain: pathlib.Path | None = None
) -> Findings:
    """Reads everything.

    Args:
        place: what is watched.
        options: of the monitor.
        now: seconds since 1970.
        version: to report of; None for the newest one with a window.
        retrain: folder of the audit of retraining; None: it is not looked at.

    Raises:
        GraftError: there are no results yet, none of that version, or they are damaged.
    """
    found = Findings(place, options, now, version)
    if not (place.folder / results.NAME).exists() and not (place.folder / state.NAME).exists():
        raise GraftError(f"{place.folder}: no results yet; `graft monitor CONFIG` makes them")
    kept: collections.deque[Window] = collections.deque(maxlen=MOST_WINDOWS)
    for window in results.read(place.folder):
        found.dropped += len(kept) == MOST_WINDOWS
        kept.append(window)
    found.windows = list(kept)
    if version is not None and not any(window.version == version for window in kept):
        listed = ", ".join(map(str, sorted({window.version for window in kept}))) or "none"
        raise GraftError(f"--version {version}: no window of it was judged lately; there are: {listed}")
    try:
        found.actions = audit.read(retrain) if retrain is not None else []
    except GraftError as error:
        found.faults.append(str(error))
    try:
        found.seen = state.peek(place.folder)
    except GraftError as error:
        found.faults.append(str(error))
    try:
        _ask_store(found)
    except GraftError as error:
        found.faults.append(str(error))
    return found


def _ask_store(found: Findings) -> None:
    from graft.serving.store import open_store

    store, model = open_store(found.place.store), found.place.model
    if model not in store.models():
        raise GraftError(f"{found.place.store}: no model {model}")
    for version in store.versions(model):
        manifest = store.manifest(model, version)
        metadata = manifest.get("metadata")
        run = metadata.get("run_id") if isinstance(metadata, dict) else None
        found.pushes.append(Push(version, seconds(manifest.get("time")), str(run or "")))
    found.pointer = store.current(model)
