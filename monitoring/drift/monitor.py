"""One pass of a monitor: new files of the log are counted, full windows judged, late labels scored."""

import collections
import contextlib
import dataclasses
import logging
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graft.models.durable import locked
from graft.models.errors import GraftError
from graft.monitoring.drift import judging, labelled, results
from graft.monitoring.drift.judging import Memory
from graft.monitoring.drift.labelled import Scored
from graft.monitoring.drift.options import DriftOptions
from graft.monitoring.drift.reading import LogReader, Part
from graft.monitoring.drift.rows import NO_VERSION, Rows, key_of
from graft.monitoring.drift.state import State
from graft.monitoring.drift.vectors import FeatureVectors
from graft.monitoring.drift.watched import References, Watched
from graft.monitoring.drift.windows import Full, Windows
from graft.monitoring.request_log import labels as label_store
from graft.monitoring.request_log.reader import Reading, files, read_file

LOCK = "lock"
_SHOWN_FAULTS = 20

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Place:
    """What is watched, and where everything lies.

    Attributes:
        model: its name.
        store: address of the model store.
        log: folder of the request log.
        folder: of results and state.
        rotate_s: a request is in a whole file of the log at most so long after it was served.
    """

    model: str
    store: str
    log: pathlib.Path
    folder: pathlib.Path
    rotate_s: float


@dataclasses.dataclass
class Pass:
    """What a pass did.

    Attributes:
        windows: those that were judged.
        totals: counters since the first pass of this state.
        unknown: requests to versions that cannot be watched, and why, since then.
        open: examples in the open windows by version.
        log: what was met in the files of this pass.
        waiting_labels: labels without a request in the log.
        faults: the first faults of the files of this pass, a line each.
    """

    windows: list[results.Window]
    totals: dict[str, int]
    unknown: dict[int, tuple[int, str]]
    open: dict[int, int]
    log: Reading
    waiting_labels: int
    faults: list[str]


@dataclasses.dataclass
class _Version:
    """A version while a pass is under way."""

    watched: Watched
    windows: Windows
    memory: Memory
    scored: Scored | None = None

    def to_json(self) -> dict[str, Any]:
        scored = self.scored.to_json() if self.scored else None
        return {"windows": self.windows.to_json(), "memory": dataclasses.asdict(self.memory), "scored": scored}


class Monitor:
    """Watches one model; a context manager that holds the lock of its folder.

    Args:
        place: what is watched.
        options: section `monitoring.drift`.
        clock: seconds since 1970.

    Raises:
        GraftError: another monitor works in that folder, or its state cannot be used.
    """

    def __init__(self, place: Place, options: DriftOptions, clock: Callable[[], float] = time.time):
        self._place, self._options, self._clock = place, options, clock
        self._open = contextlib.ExitStack()
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GraftError(f"{place.folder}: {error.strerror}; monitoring.drift.folder must be writable") from error
        self._open.enter_context(locked(place.folder / LOCK, waiting=self._refuse))
        with contextlib.ExitStack() as undone:
            undone.enter_context(self._open)
            self._state = self._open.enter_context(State(place.folder, place.model))
            undone.pop_all()

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_) -> None:
        self._open.close()

    def look(self, ended: threading.Event | None = None) -> Pass:
        """Makes a pass.

        Args:
            ended: once it is set, the pass ends after the file that it is at.

        Raises:
            GraftError: log, store, a reference or the state is at fault; what was counted before stays counted.
        """
        with FeatureVectors(self._place.store, self._place.model) as self._vectors:
            return self._look(ended or threading.Event())

    def _look(self, ended: threading.Event) -> Pass:
        self._references = References(self._place.folder, self._place.store, self._place.model)
        self._state.publish()  # of a monitor that was killed
        self._references.check()
        self._versions: dict[int, _Version] = {}
        self._judged: list[results.Window] = []
        met = Reading()
        present = {path.name: path for path in files(self._place.log, met)}
        known = self._state.files()
        self._state.forget(known[name] for name in known.keys() - present.keys())
        self._files = {known[name]: present[name] for name in known.keys() & present.keys()}
        new = [present[name] for name in sorted(present.keys() - known.keys())]
        reader = LogReader(self._place.model, self._references, self._place.folder, self._options.beam)
        for part in reader.parts(new):
            self._take(part, met)
            if ended.is_set():
                break
        waiting = 0
        if not ended.is_set():
            self._end_spans()
            waiting = self._take_labels(ended)
        self._state.publish()
        return Pass(
            windows=self._judged,
            totals=self._state.totals(),
            unknown=self._state.unknown(),
            open={v: sum(w["size"] for w in kept["windows"]["open"]) for v, kept in self._state.memories().items()},
            log=met,
            waiting_labels=waiting,
            faults=met.faults[:_SHOWN_FAULTS],
        )

    def _refuse(self, _file: Any) -> None:
        raise GraftError(f"{self._place.folder}: another `graft monitor` works here; one at a time is allowed")

    # Requests.

    def _take(self, part: Part, met: Reading) -> None:
        """Counts a file, all of it or, where it fails, nothing."""
        with self._transaction():
            number = self._state.add_file(part.path.name)
            self._files[number] = part.path
            for rows in part.rows:
                self._add(rows, number)
            reading = part.reading
            if reading.gone:  # retention was faster; it was counted by nobody
                logger.warning("%s was deleted before it was read", part.path)
            self._state.count(
                files=reading.files,
                records=reading.records,
                damaged_files=reading.damaged,
                gone_files=reading.gone,
                foreign_records=reading.foreign_records,
                **dataclasses.asdict(part.elsewhere),
            )
            self._judge(due=None)
        for field in ("files", "records", "damaged", "gone", "foreign_records"):
            setattr(met, field, getattr(met, field) + getattr(reading, field))
        met.faults += reading.faults
        self._state.publish()

    def _add(self, rows: Rows, file: int) -> None:
        new = self._state.first_seen(rows.keys, file)
        self._state.count(repeated=int((~new).sum()), requests=int(new.sum()))
        rows = dataclasses.replace(rows.taken(np.flatnonzero(new)), log_file=file)
        if rows.version == NO_VERSION:
            self._state.count(no_version=len(rows.times))
            return
        version = self._version(rows.version)
        if version is None or rows.bins.shape[1] != len(version.watched.reference.signals):
            reason = self._references.missing.get(rows.version, "its reference came later than its requests")
            self._state.add_unknown(rows.version, len(rows.times), reason)
            return
        for full in version.windows.add(rows, self._clock()):
            self._judge_requests(version, full)

    def _judge(self, due: float | None) -> None:
        """Judges the windows whose time is over."""
        for version in self._versions.values():
            for full in version.windows.due(due):
                self._judge_requests(version, full)

    def _judge_requests(self, version: _Version, full: Full) -> None:
        vectors = None
        if self._options.vectors.watch:
            vectors = self._vectors.compared(full.window, version.watched, self._files)
        window = judging.of_requests(
            full,
            model=self._place.model,
            watched=version.watched,
            memory=version.memory,
            options=self._options,
            now=self._clock(),
            vectors=vectors,
        )
        self._note(window)

    def _end_spans(self) -> None:
        """All files are counted: what was served longer ago than a file may stay open has come."""
        with self._transaction():
            for number, kept in self._state.memories().items():
                if kept["windows"]["open"] or kept["scored"]:
                    self._version(number)
            self._judge(due=self._clock() - self._place.rotate_s)

    def _note(self, window: results.Window) -> None:
        self._state.count(late=window.late, ahead=window.ahead)
        self._state.add_result(window)
        self._waiting.append(window)

    def _version(self, number: int) -> _Version | None:
        if number not in self._versions:
            watched = self._references.get(number)
            if watched is None:
                return None
            sizes = {name: signal.size for name, signal in watched.reference.signals.items()}
            slow_s = None if self._options.latency_ms is None else self._options.latency_ms / 1000
            asked = self._options.vectors
            sampled = asked.sample if asked.watch else 0
            version = _Version(watched, Windows(self._options.window, sizes, slow_s, sampled), Memory())
            if kept := self._state.memories().get(number):
                version.windows.restore(kept["windows"])
                version.memory = Memory(**kept["memory"])
                version.scored = Scored.from_json(kept["scored"]) if kept["scored"] else None
            self._versions[number] = version
        return self._versions[number]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """What is counted in it, is kept with the versions' memories; after a failure nothing of it is."""
        self._waiting: list[results.Window] = []
        try:
            with self._state.transaction():
                yield
                for number, version in self._versions.items():
                    self._state.remember(number, version.to_json())
        except BaseException:
            self._versions.clear()  # as they are kept, they are read again
            raise
        self._judged += self._waiting

    # Labels.

    def _take_labels(self, ended: threading.Event) -> int:
        """Scores the labels that came since; returns how many have no request in the log."""
        if not (self._place.log / label_store.NAME).exists():
            return 0
        with label_store.LabelStore(self._place.log) as store:
            waiting = self._state.pend(
                (key_of(request_id, answered=True), request_id, row, label)
                for request_id, row, label in store.given(self._place.model)
            )
        for number in self._state.pending_files():
            if ended.is_set():
                return waiting
            with self._transaction():
                self._score(self._files[number], self._state.pending(number))
            self._state.publish()
        with self._transaction():
            self._judge_labels()
        return waiting

    def _score(self, path: pathlib.Path, wanted: dict[str, dict[int, Any]]) -> None:
        found: collections.Counter[str] = collections.Counter()
        for record in read_file(path, Reading()):
            if record.model != self._place.model or not record.answered:
                continue
            labels = wanted.pop(record.request_id, None)
            if labels is None:
                continue
            version = self._version(record.version) if record.version else None
            bins = labelled.score_bins(version.watched) if version else None
            if version is None or bins is None:
                found["unknown"] += len(labels)
            else:
                scores = labelled.scores(record, labels, version.watched, found)
                if scores is not None and len(scores):
                    if version.scored is None:
                        version.scored = Scored([0] * bins[0].size, opened=self._clock())
                    version.scored.add(record.time, scores, bins[0])
                    found["scored"] += len(scores)
                    self._judge_labels(full=version)
            self._state.score([(record.request_id, row) for row in labels])
        self._state.count(**{f"labels_{name}": count for name, count in found.items()})

    def _judge_labels(self, full: _Version | None = None) -> None:
        for version in [full] if full else list(self._versions.values()):
            if version.scored is not None and labelled.is_full(version.scored, self._options, self._clock()):
                window = labelled.of_labels(
                    version.scored,
                    model=self._place.model,
                    watched=version.watched,
                    memory=version.memory,
                    options=self._options,
                    now=self._clock(),
                )
                self._note(window)
                version.scored = None
