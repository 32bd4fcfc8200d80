"""What the monitor keeps of logged requests: which bin each example's signals fall into, a few bytes each.

This is the costly part of a pass, which decodes inputs, and it knows no other file: Beam may do it anywhere.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterator
from typing import BinaryIO

import grpc
import numpy as np

from graft.monitoring.drift.watched import References, Watched
from graft.monitoring.request_log.reader import Reading, read_file
from graft.monitoring.request_log.record import ForeignRecord, Record

STATUSES = tuple(sorted(code.name for code in grpc.StatusCode))
OK = STATUSES.index(grpc.StatusCode.OK.name)
UNKNOWN_STATUS = STATUSES.index(grpc.StatusCode.UNKNOWN.name)
NO_VERSION = 0
"""In place of the version of a request that found none."""

KEY_BYTES = 17
UNMEASURED = -1
NO_INPUTS, NO_OUTPUTS = 1, 2
_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Rows:
    """Requests to one version, in the order of their file.

    Attributes:
        version: `NO_VERSION` where the request found none.
        keys: uint8 [requests, 17], of id and whether it was answered.
        times: float64 [requests], seconds since 1970.
        seconds: float64 [requests].
        statuses: uint8 [requests], places in `STATUSES`.
        unlogged: uint8 [requests], `NO_INPUTS` and `NO_OUTPUTS` where the log does not have them.
        examples: int32 [requests].
        bins: int16 [examples, signals], `UNMEASURED` where the log does not have what it takes.
        violations: int16 [examples], places in `reasons`, -1 for none.
        reasons: why ingestion would have refused an example, see `Input.violation`.
        offsets: int64 [requests], where their records begin in the file.
        log_file: number of the file; 0 where that is not known yet.
    """

    version: int
    keys: np.ndarray
    times: np.ndarray
    seconds: np.ndarray
    statuses: np.ndarray
    unlogged: np.ndarray
    examples: np.ndarray
    bins: np.ndarray
    violations: np.ndarray
    reasons: tuple[str, ...]
    offsets: np.ndarray
    log_file: int = 0

    def taken(self, places: np.ndarray) -> "Rows":
        """Some of the requests, int [k], rising."""
        if len(places) == len(self.times):
            return self
        chosen = np.zeros(len(self.times), bool)
        chosen[places] = True
        within = np.repeat(chosen, self.examples)
        of_requests = ("keys", "times", "seconds", "statuses", "unlogged", "examples", "offsets")
        changed = {name: getattr(self, name)[chosen] for name in of_requests}
        return dataclasses.replace(self, **changed, bins=self.bins[within], violations=self.violations[within])

    def save(self, file: BinaryIO) -> None:
        """Writes it as one `.npz`, which `load` reads without running anything of it."""
        np.savez(file, **{field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)})

    @classmethod
    def load(cls, path: pathlib.Path) -> "Rows":
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            held = dict(arrays)
        changed = {name: int(held[name]) for name in ("version", "log_file")}
        return cls(**held | changed | {"reasons": tuple(map(str, held["reasons"]))})


@dataclasses.dataclass
class Elsewhere:
    """Records of a file that are not of the model.

    Attributes:
        other_models: requests to other models.
        no_model: requests that named no model the server had.
    """

    other_models: int = 0
    no_model: int = 0


def rows_of_file(
    path: pathlib.Path, model: str, references: References, reading: Reading, elsewhere: Elsewhere
) -> Iterator[Rows]:
    """The requests of a log file to a model, some thousands at a time; adds to `reading` and `elsewhere`.

    Args:
        path: a whole file.
        model: its name.
        references: of its versions; requests to one without a reference have no signals.
        reading: what was met.
        elsewhere: what is not of the model.

    Raises:
        GraftError: the file cannot be opened or read, or a reference is at fault.
    """
    waiting: dict[int, _Gathered] = {}
    for record in read_file(path, reading):
        if record.model != model:
            elsewhere.no_model += record.model is None
            elsewhere.other_models += record.model is not None
            continue
        version = NO_VERSION if record.version is None else record.version
        if version not in waiting:
            waiting[version] = _Gathered(version, references.get(version) if version else None)
        try:
            waiting[version].add(record)
        except ForeignRecord as error:
            reading.records -= 1
            reading.foreign_records += 1
            reading.faults.append(f"{path}: {error}")
        if waiting[version].size >= _AT_ONCE:
            yield waiting.pop(version).rows()
    for version in sorted(waiting):
        if waiting[version].size:
            yield waiting[version].rows()


def key_of(request_id: str, answered: bool) -> bytes:
    """What tells requests apart; an attempt that failed and one that was answered are two, as for `reader.once`."""
    return hashlib.blake2b(request_id.encode(), digest_size=KEY_BYTES - 1).digest() + bytes([answered])


def contents_of(record: Record, watched: Watched) -> list[bytes] | None:
    """What a request asked about; None where that was not logged, or as hashes. Raises ForeignRecord."""
    name = watched.input.signature_name
    array = None if name in record.hashed else record.inputs.get(name)
    if array is None or array.dtype != object or array.ndim != 1:
        return None
    return [value if isinstance(value, bytes) else str(value).encode() for value in array.tolist()]


def answers_of(record: Record, watched: Watched) -> np.ndarray | None:
    """What it was answered, [n, units]; None where that was not logged. Raises ForeignRecord."""
    name = watched.target.answer_name
    array = None if name in record.hashed else record.outputs.get(name)
    if array is None or array.ndim != 2 or array.shape[1] != watched.target.units or array.dtype.kind != "f":
        return None
    return array


class _Gathered:
    """Requests to one version until they are enough for arrays."""

    def __init__(self, version: int, watched: Watched | None):
        self._version, self._watched = version, watched
        self._requests: list[tuple[bytes, float, float, int, int, int, int]] = []
        self._inputs: list[tuple[int, dict[str, float | str | None]]] = []
        self._violations: list[tuple[int, str]] = []
        self._answers: list[tuple[int, np.ndarray]] = []
        self._examples = 0

    @property
    def size(self) -> int:
        """Requests or examples, whichever are more."""
        return max(len(self._requests), self._examples)

    def add(self, record: Record) -> None:
        """Raises ForeignRecord: its arrays cannot be read; then nothing of it is there."""
        examples = unlogged = 0
        if self._watched is not None:
            contents, answers = contents_of(record, self._watched), answers_of(record, self._watched)
            unlogged |= NO_INPUTS * (contents is None) | NO_OUTPUTS * (answers is None and record.answered)
            for place, content in enumerate(contents or (), self._examples):
                self._inputs.append((place, self._watched.watch(content)))
                if reason := self._watched.input.violation(content):
                    self._violations.append((place, reason))
            if answers is not None and len(answers):
                self._answers.append((self._examples, answers))
            examples = max(len(contents or ()), 0 if answers is None else len(answers))
        status = STATUSES.index(record.status) if record.status in STATUSES else UNKNOWN_STATUS
        key = key_of(record.request_id, record.answered)
        self._requests.append((key, record.time, record.seconds, status, unlogged, examples, record.offset))
        self._examples += examples

    def rows(self) -> Rows:
        """Everything that was added, at least one request."""
        keys, times, seconds, statuses, unlogged, examples, offsets = zip(*self._requests, strict=True)
        reasons = tuple(dict.fromkeys(reason for _, reason in self._violations))
        violations = np.full(self._examples, -1, np.int16)
        for place, reason in self._violations:
            violations[place] = reasons.index(reason)
        return Rows(
            version=self._version,
            keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES),
            times=np.array(times, np.float64),
            seconds=np.array(seconds, np.float64),
            statuses=np.array(statuses, np.uint8),
            unlogged=np.array(unlogged, np.uint8),
            examples=np.array(examples, np.int32),
            bins=self._bins(),
            violations=violations,
            reasons=reasons,
            offsets=np.array(offsets, np.int64),
        )

    def _bins(self) -> np.ndarray:
        signals = self._watched.reference.signals if self._watched else {}
        bins = np.full((self._examples, len(signals)), UNMEASURED, np.int16)
        if self._watched is None:
            return bins
        answered = np.concatenate(
            [np.arange(first, first + len(a)) for first, a in self._answers] or [np.zeros(0, int)]
        )
        found = self._watched.target.signals(np.concatenate([a for _, a in self._answers])) if self._answers else {}
        asked = [place for place, _ in self._inputs]
        for column, (name, signal) in enumerate(signals.items()):
            if self._watched.reference.group[name] == "input":
                bins[asked, column] = [signal.bin(values[name]) for _, values in self._inputs]  # type: ignore[arg-type]
            elif name in found:
                bins[answered, column] = [signal.bin(value) for value in found[name]]
        return bins
