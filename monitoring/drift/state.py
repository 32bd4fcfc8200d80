"""What a monitor remembers: a SQLite database beside its results.

Which files of the log it has counted, the ids of their requests, the windows that are open, how many looks each version
has had. All that a file changes is one transaction, the results that it brings included; these are then added to the
results' file. Wherever a monitor is killed, the next one goes on as if it had not been: nothing is lost and nothing is
counted twice.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from graft.models.errors import GraftError
from graft.monitoring.database import Database, read_only
from graft.monitoring.drift import results

NAME = "state.sqlite"
_CACHE_KB = 65536

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE ids (key BLOB PRIMARY KEY, file INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE versions (version INTEGER PRIMARY KEY, memory TEXT NOT NULL);
CREATE TABLE unknown (version INTEGER PRIMARY KEY, requests INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE totals (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE scored (request_id TEXT, row INTEGER, PRIMARY KEY (request_id, row)) WITHOUT ROWID;
CREATE TABLE results (id INTEGER PRIMARY KEY, line TEXT NOT NULL);
"""


class State:
    """A monitor's memory; a context manager. The caller holds the lock of the folder.

    Args:
        folder: of the monitor.
        model: whose monitor it is.

    Raises:
        GraftError: the database cannot be used, or is that of another model's monitor.
    """

    def __init__(self, folder: pathlib.Path, model: str):
        self._path, self._results = folder / NAME, folder / results.NAME

        def filled(made: Database) -> None:
            # Results of a monitor whose memory was taken away stay.
            published = self._results.stat().st_size if self._results.exists() else 0
            made.executemany("INSERT INTO meta VALUES (?, ?)", [("model", model), ("published", published)])

        self._database = Database(
            self._path, _SCHEMA, "the state of a monitor, on a local disk with room", filled=filled
        )
        with self._database.faults():
            self._database.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            of = self._get("model")
        if of != model:
            raise GraftError(
                f"{self._path}: of the monitor of {of!r}; {model!r} needs a folder of its own, see "
                "monitoring.drift.folder"
            )

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def __enter__(self) -> "State":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """All that is done in it is kept, or none of it. Raises GraftError."""
        return self._database.transaction()

    # Files and ids.

    def files(self) -> dict[str, int]:
        """The files that were counted, with their numbers."""
        return {name: number for number, name in self._database.execute("SELECT id, name FROM files")}

    def add_file(self, name: str) -> int:
        """Notes that a file is counted; returns its number."""
        return int(self._database.execute("INSERT INTO files (name) VALUES (?)", (name,)).lastrowid or 0)

    def forget(self, numbers: Iterable[int]) -> None:
        """Forgets files that the log no longer has, and the ids of their requests."""
        gone = [(number,) for number in numbers]
        if not gone:
            return
        with self.transaction():
            self._database.execute("CREATE TEMP TABLE gone (id INTEGER PRIMARY KEY)")
            self._database.executemany("INSERT INTO gone VALUES (?)", gone)
            self._database.execute("DELETE FROM ids WHERE file IN (SELECT id FROM gone)")
            self._database.execute("DELETE FROM files WHERE id IN (SELECT id FROM gone)")
            self._database.execute("DROP TABLE gone")

    def first_seen(self, keys: np.ndarray, file: int) -> np.ndarray:
        """Which requests are new, bool [n]; they are known from now on.

        Args:
            keys: uint8 [n, bytes].
            file: number of the file that they stand in.
        """
        execute = self._database.execute
        statement = "INSERT OR IGNORE INTO ids VALUES (?, ?)"
        return np.array([execute(statement, (key.tobytes(), file)).rowcount == 1 for key in keys], bool)

    # Versions.

    def memories(self) -> dict[int, dict[str, Any]]:
        """What is kept of each version, JSON types."""
        found = self._database.execute("SELECT version, memory FROM versions ORDER BY version")
        return {version: json.loads(memory) for version, memory in found}

    def remember(self, version: int, memory: dict[str, Any]) -> None:
        """Replaces what is kept of a version."""
        self._database.execute("INSERT OR REPLACE INTO versions VALUES (?, ?)", (version, json.dumps(memory)))

    def add_unknown(self, version: int, requests: int, reason: str) -> None:
        """Counts requests to a version that cannot be watched."""
        self._database.execute(
            "INSERT INTO unknown VALUES (?, ?, ?) ON CONFLICT (version) "
            "DO UPDATE SET requests = requests + excluded.requests, reason = excluded.reason",
            (version, requests, reason),
        )

    def unknown(self) -> dict[int, tuple[int, str]]:
        """Requests to versions that cannot be watched, and why."""
        found = self._database.execute("SELECT version, requests, reason FROM unknown ORDER BY version")
        return {version: (requests, reason) for version, requests, reason in found}

    # Counters.

    def count(self, **counts: int) -> None:
        """Adds to counters by name."""
        statement = "INSERT INTO totals VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count"
        self._database.executemany(statement, [(name, count) for name, count in counts.items() if count])

    def totals(self) -> dict[str, int]:
        """The counters, since the monitor's first pass."""
        return dict(self._database.execute("SELECT name, count FROM totals ORDER BY name"))

    # Labels.

    def pend(self, labels: Iterable[tuple[bytes, str, int, Any]]) -> int:
        """Puts aside the labels that are to be taken, by the file of their request.

        Args:
            labels: key of the request, its id, row, label.

        Returns:
            How many have no request among the files that were counted.
        """
        execute, waiting = self._database.execute, 0
        with self._database.faults():
            execute("DROP TABLE IF EXISTS temp.pending")
            execute("CREATE TEMP TABLE pending (file INTEGER, request_id TEXT, row INTEGER, label TEXT)")
            execute("BEGIN")
            for key, request_id, row, label in labels:
                if execute("SELECT 1 FROM scored WHERE request_id = ? AND row = ?", (request_id, row)).fetchone():
                    continue
                found = execute("SELECT file FROM ids WHERE key = ?", (key,)).fetchone()
                if found is None:
                    waiting += 1
                else:
                    execute("INSERT INTO pending VALUES (?, ?, ?, ?)", (found[0], request_id, row, json.dumps(label)))
            execute("CREATE INDEX temp.by_file ON pending (file)")
            execute("COMMIT")
        return waiting

    def pending_files(self) -> list[int]:
        """Numbers of the files with requests whose labels `pend` put aside."""
        found = self._database.execute("SELECT DISTINCT file FROM pending ORDER BY file")
        return [number for (number,) in found]

    def pending(self, file: int) -> dict[str, dict[int, Any]]:
        """Labels of a file's requests, by id and row."""
        found: dict[str, dict[int, Any]] = {}
        statement = "SELECT request_id, row, label FROM pending WHERE file = ?"
        for request_id, row, label in self._database.execute(statement, (file,)):
            found.setdefault(request_id, {})[row] = json.loads(label)
        return found

    def score(self, rows: Sequence[tuple[str, int]]) -> None:
        """Notes that labels were taken."""
        self._database.executemany("INSERT OR IGNORE INTO scored VALUES (?, ?)", rows)

    # Results.

    def add_result(self, window: results.Window) -> None:
        """Keeps a result until `publish`."""
        self._database.execute("INSERT INTO results (line) VALUES (?)", (results.line(window),))

    def publish(self) -> None:
        """Adds to the results' file what was kept since.

        The file is first cut where the last whole `publish` ended: a monitor that was killed here leaves no torn line,
        and no line twice. Raises GraftError.
        """
        with self._database.faults():
            found = self._database.execute("SELECT id, line FROM results ORDER BY id").fetchall()
            if not found:
                return
            with self._results.open("ab") as file:
                end = min(int(self._get("published")), file.seek(0, os.SEEK_END))  # it may have been taken away
                file.truncate(end)
                file.write("".join(f"{line}\n" for _, line in found).encode())
                file.flush()
                os.fsync(file.fileno())
                end = file.seek(0, os.SEEK_END)
            with self.transaction():
                self._set("published", end)
                self._database.execute("DELETE FROM results WHERE id <= ?", (found[-1][0],))

    def _get(self, name: str) -> Any:
        found = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def _set(self, name: str, value: Any) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a monitor has counted, as `monitor.Pass` has it."""

    totals: dict[str, int]
    unknown: dict[int, tuple[int, str]]
    open: dict[int, int]


def peek(folder: pathlib.Path) -> Seen | None:
    """What the monitor of a folder has counted, while it may be at work; None where none was. Raises GraftError."""
    path = folder / NAME
    if not path.is_file():
        return None
    with read_only(path, "the state of a monitor") as database:
        execute = database.execute
        memories = execute("SELECT version, memory FROM versions ORDER BY version").fetchall()
        return Seen(
            totals=dict(execute("SELECT name, count FROM totals ORDER BY name")),
            unknown={v: (n, why) for v, n, why in execute("SELECT version, requests, reason FROM unknown")},
            open={v: sum(w["size"] for w in json.loads(kept)["windows"]["open"]) for v, kept in memories},
        )
