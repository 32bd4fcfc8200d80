"""Rows of a log that can be learned from: their input was kept, and their label came. All others are counted.

A row is a request id and its place in the request. It is the same one whatever file it lies in and however often it
lies there: of several records of a request the earliest counts, of those that have its input.
"""

import collections
import hashlib
import itertools
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from graft.models.errors import GraftError
from graft.models.inputs.base import Refused
from graft.monitoring.request_log.label_files import Label
from graft.monitoring.request_log.label_spans import Arrived, arrived
from graft.monitoring.request_log.reader import Reading, files, read_file
from graft.monitoring.request_log.record import ForeignRecord, Record

if TYPE_CHECKING:
    from graft.models.targets.base import Target

NO_LABEL, NO_INPUT, HASHED, UNREADABLE = "no_label", "no_input", "hashed_input", "unreadable_record"
UNKNOWN_LABEL, NO_REQUEST, NOT_ANSWERED, BEYOND = "unknown_label", "no_request", "not_answered", "no_such_row"
OUTSIDE, OVER_MOST, DAMAGED, FOREIGN = "outside_the_times", "older_than_most", "damaged_file", "foreign_record"

MEANINGS = {
    NO_LABEL: "answered examples whose label has not come",
    NO_INPUT: "labelled examples whose input is not in the log: dropped, left out, or too long",
    HASHED: "labelled examples of whose input the log holds a hash only",
    UNREADABLE: "labelled examples whose input in the log cannot be read as one",
    UNKNOWN_LABEL: "labels that the target does not know",
    NO_REQUEST: "labels whose request is not in the log",
    NOT_ANSWERED: "labels of requests that failed",
    BEYOND: "labels for a row that the request does not have",
    OUTSIDE: "labelled examples that were asked about before `since` or from `until` on",
    OVER_MOST: "labelled examples that are older than the newest `most`",
    DAMAGED: "log files that are cut or corrupted; what stands before the damage is read",
    FOREIGN: "records that no request log of Graft wrote",
}
"""What is left out, by code."""
_SHOWN, _LONGEST = 6, 100


class Row(NamedTuple):
    """An example.

    Attributes:
        request_id, row: which one.
        time: of the request, seconds since 1970.
        arrived: when its label came, likewise.
        file: path of the log file with its input.
        content: sha256 of its input.
        label: by column.
    """

    request_id: str
    row: int
    time: float
    arrived: float
    file: str
    content: bytes
    label: Label

    @property
    def digest(self) -> bytes:
        """sha256 of what makes it this example: id, place, input, label; not the file it lies in."""
        told = json.dumps([self.request_id, self.row, self.content.hex(), self.label], sort_keys=True)
        return hashlib.sha256(told.encode()).digest()


class Found(NamedTuple):
    """What can be learned from, and what cannot.

    Attributes:
        rows: in the order of their requests' time.
        left_out: how many were, by code, see `MEANINGS`.
        unknown: how often a label came that is not known, the most frequent first.
    """

    rows: list[Row]
    left_out: Mapping[str, int]
    unknown: Mapping[str, int]

    def meaning(self, code: str) -> str:
        """One line for people; unknown labels are named."""
        if code != UNKNOWN_LABEL:
            return MEANINGS[code]
        return f"{MEANINGS[code]}: {named_labels(self.unknown)}"


class _Asked(NamedTuple):
    """What the log has of a request: `fault` or the sha256 of each input; the least one is taken."""

    fault: str
    time: float
    contents: tuple[bytes, ...]
    file: str


def find(
    folder: pathlib.Path,
    model: str,
    input_name: str,
    target: "Target",
    *,
    known: Sequence[str] | None = None,
    since: float = -math.inf,
    until: float = math.inf,
    labelled_until: float = math.inf,
    most: int | None = None,
) -> Found:
    """Reads a log.

    Args:
        folder: of the log.
        model: whose requests.
        input_name: of the signature, whose values are the contents.
        target: says which labels it knows.
        known: classes that a label may name; None: all that the target knows.
        since, until: times of the requests, seconds since 1970, `since` included and `until` not.
        labelled_until: labels that came later are as if they had not come.
        most: rows at most, the newest.

    Raises:
        GraftError: there is no such folder, or a file or the labels cannot be read.
    """
    reading, left_out = Reading(), collections.Counter[str]()
    labels = arrived(folder, model, labelled_until)
    asked: dict[str, _Asked] = {}
    failed: set[str] = set()
    unlabelled: set[bytes] = set()  # 16 bytes a request: there may be millions
    for path in files(folder, reading):
        for record in read_file(path, reading):
            if record.model != model:
                continue
            if not record.answered:
                failed.add(record.request_id)
            elif record.request_id in labels:
                one, before = _asked(record, input_name, str(path)), asked.get(record.request_id)
                asked[record.request_id] = one if before is None else min(before, one, key=_first)
                left_out[NO_LABEL] += 0 if before else _unlabelled(record, labels)
            elif (key := hashlib.blake2b(record.request_id.encode(), digest_size=16).digest()) not in unlabelled:
                left_out[NO_LABEL] += record.examples
                unlabelled.add(key)
    unknown: collections.Counter[str] = collections.Counter()
    judge = target if known is None else type(target)(target.options, known)
    rows = []
    for request_id, given in labels.items():
        found = asked.get(request_id)
        for row, label in given.items():
            if found is None:
                left_out[NOT_ANSWERED if request_id in failed else NO_REQUEST] += 1
            elif fault := _fault(found, row, label, judge, since, until):
                left_out[fault] += 1
                if fault == UNKNOWN_LABEL:
                    unknown[_said(label.label)] += 1
            else:
                content = found.contents[row]
                rows.append(Row(request_id, row, found.time, label.time, found.file, content, label.label))
    rows.sort(key=lambda row: (row.time, row.request_id, row.row))
    if most is not None and len(rows) > most:
        left_out[OVER_MOST] += len(rows) - most
        rows = rows[-most:]
    left_out.update({DAMAGED: reading.damaged, FOREIGN: reading.foreign_records})
    odd = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    return Found(rows, {code: left_out[code] for code in MEANINGS if left_out[code]}, dict(odd))


def named_labels(unknown: Mapping[str, int]) -> str:
    """Labels with how often each came, for people: the first few."""
    words = [f"{said!r} ({count:,})" for said, count in itertools.islice(unknown.items(), _SHOWN)]
    more = len(unknown) - len(words)
    return ", ".join(words) + (f" and {more:,} more" if more else "")


def contents(record: Record, input_name: str) -> tuple[list[bytes], str]:
    """What a request asked about, and why that cannot be told; one of the two is empty."""
    if input_name in record.hashed:
        return [], HASHED
    try:
        array = record.inputs.get(input_name)
    except ForeignRecord:
        return [], UNREADABLE
    if array is None:
        return [], NO_INPUT
    if array.dtype != object or array.ndim != 1:
        return [], UNREADABLE
    return [value if isinstance(value, bytes) else str(value).encode() for value in array.tolist()], ""


def by_column(label: Label, columns: Sequence[str]) -> Mapping[str, Any]:
    """A label as a row of a table: a single value is the target's single column, whatever either is called."""
    if len(label) == len(columns) == 1:
        return {columns[0]: next(iter(label.values()))}
    return label


def _asked(record: Record, input_name: str, file: str) -> _Asked:
    found, fault = contents(record, input_name)
    return _Asked(fault, record.time, tuple(hashlib.sha256(content).digest() for content in found), file)


def _said(label: Label) -> str:
    """A label as a person may search for it, not too long."""
    text = str(next(iter(label.values()))) if len(label) == 1 else json.dumps(label, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _first(one: _Asked) -> tuple:
    """The file decides only between copies."""
    return bool(one.fault), *one


def _unlabelled(record: Record, labels: Mapping[str, Mapping[int, Arrived]]) -> int:
    given = sum(row < record.examples for row in labels[record.request_id])
    return max(0, record.examples - given)


def _fault(one: _Asked, row: int, label: Arrived, target: "Target", since: float, until: float) -> str:
    if one.fault:
        return one.fault
    if not 0 <= row < len(one.contents):
        return BEYOND
    try:
        value = target.parse(by_column(label.label, target.columns))
        if target.names:
            target.encode([value])
    except (Refused, GraftError):
        return UNKNOWN_LABEL
    return "" if since <= one.time < until else OUTSIDE
