"""What the monitor keeps of logged requests: which bin each example's signals fall into, a few bytes each.

This is the costly part of a pass, which decodes inputs, and it knows no other file: Beam may do it anywhere.
"""

import dataclasses
import hashlib
import io
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import grpc
import numpy as np

from graft.models.inputs.base import Refused
from graft.models.targets.base import Target
from graft.monitoring.drift.watched import Watched
from graft.monitoring.request_log.reader import Reading, read_file
from graft.monitoring.request_log.record import ForeignRecord, Record

STATUSES = tuple(sorted(code.name for code in grpc.StatusCode))
OK = STATUSES.index(grpc.StatusCode.OK.name)
UNKNOWN_STATUS = STATUSES.index(grpc.StatusCode.UNKNOWN.name)
NO_VERSION = 0
"""In place of the version of a request that found none."""

KEY_BYTES = 17
UNMEASURED = -1
UNADMITTED, UNREADABLE, NO_INPUTS, NO_OUTPUTS = "unadmitted", "unreadable", "inputs", "outputs"
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
        examples: int32 [requests].
        bins: int16 [examples, signals], `UNMEASURED` where the log does not have what it takes.
        expected: float64 [examples], the score that the answer gives itself; NaN where it gives none.
        reasons: reason of a violation by number.
        violations: int16 [examples], places in `reasons`, -1 for none.
    """

    version: int
    keys: np.ndarray
    times: np.ndarray
    seconds: np.ndarray
    statuses: np.ndarray
    examples: np.ndarray
    bins: np.ndarray
    expected: np.ndarray
    reasons: tuple[str, ...]
    violations: np.ndarray

    def taken(self, places: np.ndarray) -> "Rows":
        """Some of the requests, int [k]."""
        starts = np.cumsum(self.examples) - self.examples
        rows = [np.arange(starts[place], starts[place] + self.examples[place]) for place in places]
        within = np.concatenate(rows) if rows else np.zeros(0, int)
        of_requests = ("keys", "times", "seconds", "statuses", "examples")
        of_examples = ("bins", "expected", "violations")
        changed = {name: getattr(self, name)[places] for name in of_requests}
        return dataclasses.replace(self, **changed, **{name: getattr(self, name)[within] for name in of_examples})

    def save(self, file: BinaryIO) -> None:
        """Writes it as one `.npz`, which `load` reads without running anything of it."""
        np.savez(file, **{field.name: np.asarray(getattr(self, field.name)) for field in dataclasses.fields(self)})

    @classmethod
    def load(cls, path: pathlib.Path) -> "Rows":
        """Reads what `save` wrote."""
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            held = dict(arrays)
        return cls(**held | {"version": int(held["version"]), "reasons": tuple(map(str, held["reasons"]))})


@dataclasses.dataclass
class Elsewhere:
    """Records of a file that are of no use to the monitor of this model.

    Attributes:
        other_models: requests to other models.
        no_model: requests that named no model the server had.
    """

    other_models: int = 0
    no_model: int = 0


def rows_of_file(
    path: pathlib.Path, model: str, watched: "Mapping[int, Watched | None]", reading: Reading, elsewhere: Elsewhere
) -> Iterator[Rows]:
    """The requests of a log file to a model, some thousands at a time; adds to `reading` and `elsewhere`.

    Args:
        path: a whole file.
        model: its name.
        watched: versions by number; one that is not there, or None, has no reference: its requests have no signals.
        reading: what was met.
        elsewhere: what is not of the model.

    Raises:
        GraftError: it cannot be opened or read.
    """
    waiting: dict[int, _Gathered] = {}
    for record in read_file(path, reading):
        if record.model != model:
            elsewhere.no_model += record.model is None
            elsewhere.other_models += record.model is not None
            continue
        version = NO_VERSION if record.version is None else record.version
        gathered = waiting.setdefault(version, _Gathered(version, watched.get(version)))
        try:
            gathered.add(record)
        except ForeignRecord as error:
            reading.records -= 1
            reading.foreign_records += 1
            reading.faults.append(f"{path}: {error}")
        if gathered.size >= _AT_ONCE:
            yield waiting.pop(version).rows()
    for version in sorted(waiting):
        yield waiting[version].rows()


def key_of(request_id: str, answered: bool) -> bytes:
    """What tells requests apart; an attempt that failed and one that was answered are two, as for `reader.once`."""
    return hashlib.blake2b(request_id.encode(), digest_size=KEY_BYTES - 1).digest() + bytes([answered])


class _Gathered:
    """Requests to one version until they are enough for arrays."""

    def __init__(self, version: int, watched: "Watched | None"):
        self._version, self._watched = version, watched
        self._names = list(watched.reference.signals) if watched else []
        self._requests: list[tuple[bytes, float, float, int, int]] = []
        self._bins: list[np.ndarray] = []
        self._expected: list[np.ndarray] = []
        self._violations: list[list[int]] = []
        self._reasons: dict[str, int] = {}

    @property
    def size(self) -> int:
        return max(len(self._requests), sum(map(len, self._violations)))

    def add(self, record: Record) -> None:
        """Raises ForeignRecord: its arrays cannot be read; then nothing of it is there."""
        examples, bins, expected, reasons = 0, None, None, []
        if self._watched is not None:
            contents, answers = contents_of(record, self._watched), answers_of(record, self._watched)
            examples = max(
                len(contents) if contents is not None else 0, len(answers) if answers is not None else 0
            )
            bins, expected, reasons = self._measured(self._watched, contents, answers, examples)
        status = STATUSES.index(record.status) if record.status in STATUSES else UNKNOWN_STATUS
        key = key_of(record.request_id, record.answered)
        self._requests.append((key, record.time, record.seconds, status, examples))
        if bins is not None and expected is not None:
            self._bins.append(bins)
            self._expected.append(expected)
            self._violations.append([self._reasons.setdefault(r, len(self._reasons)) if r else -1 for r in reasons])
        
    def _measured(self, watched, contents, answers, examples):
        raise NotImplementedError

    def rows(self) -> Rows:
        """Everything that was added."""
        keys, times, seconds, statuses, examples = zip(*self._requests, strict=True)
        width = len(self._names)
        return Rows(
            self._version,
            np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES),
            np.array(times, np.float64),
            np.array(seconds, np.float64),
            np.array(statuses, np.uint8),
            np.array(examples, np.int32),
            np.concatenate([np.zeros((0, width), np.int16), *self._bins]),
            np.concatenate([np.zeros(0), *self._expected]),
            tuple(self._reasons),
            np.array([code for codes in self._violations for code in codes], np.int16),
        )
