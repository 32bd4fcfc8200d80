"""Labels that came late, beside the log whose requests they belong to: a SQLite database that is only added to.

A label belongs to a row of a request of a model. The first one stays; one that says something else is refused, kept as
a conflict and counted. What came once may come again, from the same file or another, before or after a crash: nothing
is counted twice. A label may be there before its request is, whose file may not be finished yet.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Iterable, Iterator, Sequence

from graft.models.errors import GraftError
from graft.monitoring.database import Database
from graft.monitoring.request_log.label_files import Fault, Label, Labelled, rows
from graft.monitoring.request_log.reader import Reading, files, read_file
from graft.monitoring.request_log.record import Record

NAME = "labels.sqlite"
_SHOWN_FAULTS = 20
_WAIT_S = 60.0

_SCHEMA = """
CREATE TABLE labels (model TEXT, request_id TEXT, row INTEGER, label TEXT NOT NULL, source TEXT NOT NULL,
    time REAL NOT NULL, PRIMARY KEY (model, request_id, row)) WITHOUT ROWID;
CREATE TABLE conflicts (model TEXT, request_id TEXT, row INTEGER, label TEXT, source TEXT NOT NULL,
    time REAL NOT NULL, PRIMARY KEY (model, request_id, row, label)) WITHOUT ROWID;
CREATE TABLE requests (request_id TEXT, model TEXT, file TEXT, PRIMARY KEY (request_id, model, file)) WITHOUT ROWID;
CREATE TABLE indexed (file TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE taken (model TEXT, file TEXT, size INTEGER NOT NULL, modified INTEGER NOT NULL,
    PRIMARY KEY (model, file)) WITHOUT ROWID;
"""


@dataclasses.dataclass
class Added:
    """What became of the rows of a file.

    Attributes:
        rows: all of them.
        added: labels that are new.
        repeated: labels that were there.
        conflicting: labels that say something else than the one that is there; refused.
        faulty: rows that cannot be read.
        matched: rows (new or there) whose request is in the log.
        unknown: rows whose request is not: the sample left it out, its file is not finished yet, retention deleted it,
            or there never was one.
        faults: the first of the faulty and the conflicting rows, a line each.
    """

    rows: int = 0
    added: int = 0
    repeated: int = 0
    conflicting: int = 0
    faulty: int = 0
    matched: int = 0
    unknown: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether no row was refused."""
        return not (self.conflicting or self.faulty)

    def tell(self, fault: str) -> None:
        """Keeps the line, if it is one of the first."""
        if len(self.faults) < _SHOWN_FAULTS:
            self.faults.append(fault)


@dataclasses.dataclass
class Joining:
    """What a join met.

    Attributes:
        joined: labels that found their request.
        waiting: labels without a request in the log.
        beyond: labels for a row that the request does not have.
        unlabelled: answered rows without a label.
    """

    joined: int = 0
    waiting: int = 0
    beyond: int = 0
    unlabelled: int = 0


class LabelStore:
    """The labels of one log; a context manager. Several processes may use it at once.

    Args:
        folder: of the log.

    Raises:
        GraftError: there is no such folder, or its database cannot be used.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder, self._path = folder, folder / NAME
        if not folder.is_dir():
            raise GraftError(f"{folder}: no such folder; it must be the folder of a request log")
        try:
            self._path.touch(0o640)  # as the log's own files; SQLite would let everybody read it
        except OSError as error:
            raise GraftError(f"{self._path}: {error.strerror}; its folder must be writable") from error
        self._database = Database(
            self._path, _SCHEMA, "the labels of a request log, on a disk with room", wait_s=_WAIT_S
        )

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def index(self, reading: Reading) -> None:
        """Notes the requests of the files that were finished since; each file is read once. Raises GraftError."""
        with self._database.faults():
            present = {path.name: path for path in files(self._folder, reading)}
            known = {name for (name,) in self._database.execute("SELECT file FROM indexed")}
            for name in known - present.keys():
                with self._database.transaction():
                    self._database.execute("DELETE FROM requests WHERE file = ?", (name,))
                    self._database.execute("DELETE FROM indexed WHERE file = ?", (name,))
            for name in sorted(present.keys() - known):
                with self._database.transaction():
                    found = ((r.request_id, r.model or "", name) for r in read_file(present[name], reading))
                    self._database.executemany("INSERT OR IGNORE INTO requests VALUES (?, ?, ?)", found)
                    self._database.execute("INSERT OR IGNORE INTO indexed VALUES (?)", (name,))

    def models(self) -> list[str]:
        """Models whose requests are in the log, as far as it was indexed."""
        with self._database.faults():
            found = self._database.execute("SELECT DISTINCT model FROM requests WHERE model != '' ORDER BY model")
            return [model for (model,) in found]

    def add(self, model: str, path: pathlib.Path, columns: Sequence[str]) -> Added:
        """Adds the labels of a file, all of its sound rows or, if it is at fault as a whole, none.

        Args:
            model: whose requests were labelled.
            path: CSV or JSONL, see `label_files`.
            columns: those that hold the label.

        Raises:
            GraftError: the file is no table with these columns, or the database cannot be used.
        """
        added = Added()
        with self._database.transaction():
            for row in rows(path, columns):
                added.rows += 1
                if isinstance(row, Fault):
                    added.faulty += 1
                    added.tell(row.text)
                else:
                    self._add(model, row, path, added)
        return added

    def is_taken(self, model: str, path: pathlib.Path, size: int, modified: int) -> bool:
        """Whether a file of a watched folder was read as it is: its bytes and its time of change, nanoseconds."""
        with self._database.faults():
            found = self._database.execute(
                "SELECT size, modified FROM taken WHERE model = ? AND file = ?", (model, str(path.absolute()))
            )
            return found.fetchone() == (size, modified)

    def take(self, model: str, path: pathlib.Path, size: int, modified: int) -> None:
        """Notes that it was read, also where it was at fault."""
        with self._database.faults():
            place = (model, str(path.absolute()), size, modified)
            self._database.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?)", place)

    def given(self, model: str) -> Iterator[tuple[str, int, Label]]:
        """All labels of a model: id of the request, row, label; requests in the order of their ids."""
        with self._database.faults():
            statement = "SELECT request_id, row, label FROM labels WHERE model = ? ORDER BY request_id, row"
            for request_id, row, label in self._database.execute(statement, (model,)):
                yield request_id, row, json.loads(label)

    def join(
        self, model: str, records: Iterable[Record], joining: Joining
    ) -> Iterator[tuple[Record, dict[int, Label]]]:
        """Each answered record of the model with its labels by row; adds to `joining`.

        Args:
            model: whose.
            records: each request once, see `reader.once`.
            joining: what is counted; `waiting` once all records were given.
        """
        with self._database.faults():
            (total,) = self._database.execute("SELECT count(*) FROM labels WHERE model = ?", (model,)).fetchone()
        for record in records:
            if record.model != model or not record.answered:
                continue
            with self._database.faults():
                found = self._database.execute(
                    "SELECT row, label FROM labels WHERE model = ? AND request_id = ?", (model, record.request_id)
                ).fetchall()
            examples = max((array.shape[0] for array in record.outputs.values() if array.ndim), default=1)
            labels = {row: json.loads(label) for row, label in found if row < examples}
            joining.joined += len(labels)
            joining.beyond += len(found) - len(labels)
            joining.unlabelled += examples - len(labels)
            yield record, labels
        joining.waiting = total - joining.joined - joining.beyond

    def _add(self, model: str, row: Labelled, path: pathlib.Path, added: Added) -> None:
        key = (model, row.request_id, row.row)
        label = json.dumps(row.label, sort_keys=True, ensure_ascii=False)
        place = (*key, label, str(path), time.time())
        if self._database.execute("INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?, ?)", place).rowcount:
            added.added += 1
        else:
            (there,) = self._database.execute(
                "SELECT label FROM labels WHERE model = ? AND request_id = ? AND row = ?", key
            ).fetchone()
            if there != label:
                self._database.execute("INSERT OR IGNORE INTO conflicts VALUES (?, ?, ?, ?, ?, ?)", place)
                added.conflicting += 1
                added.tell(
                    f"{path}: request {row.request_id} row {row.row} is {label:.200}; it was labelled {there:.200}"
                )
                return
            added.repeated += 1
        found = self._database.execute(
            "SELECT 1 FROM requests WHERE request_id = ? AND model = ?", key[1::-1]
        ).fetchone()
        added.matched += found is not None
        added.unknown += found is None
