"""A SQLite database of a known version, whose faults are one line."""

import contextlib
import pathlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from graft.models.errors import GraftError

_VERSION = 1


@contextlib.contextmanager
def read_only(path: pathlib.Path, what: str, *, wait_s: float = 5.0) -> Iterator[sqlite3.Connection]:
    """Opens a database that is there and writes nothing, while others may be at work on it.

    Args:
        path: of the file.
        what: what it must be, for people.
        wait_s: for a transaction of another process.

    Raises:
        GraftError: it cannot be read, or what is made of its rows within is not sound.
    """
    try:
        place = f"{path.resolve().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=wait_s)) as connection:
            yield connection
    except (sqlite3.Error, ValueError, LookupError, TypeError) as error:
        raise GraftError(f"{path}: cannot be read ({error}); it must be {what}") from error


class Database:
    """An open database.

    Each statement is for itself; what belongs together stands in `transaction`.

    Args:
        path: of the file, which is made where it is not there.
        schema: statements that make the tables, each with a semicolon at its end.
        what: what the file must be, for people: "the labels of a request log, on a disk with room".
        wait_s: for a transaction of another process.
        filled: writes what a new database holds.

    Raises:
        GraftError: it cannot be used, or was made by another version.
    """

    def __init__(
        self,
        path: pathlib.Path,
        schema: str,
        what: str,
        *,
        wait_s: float = 5.0,
        filled: Callable[["Database"], None] = lambda _: None,
    ):
        self._path, self._what = path, what
        with self.faults():
            self._connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None)
            with self.transaction():
                (version,) = self.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in schema.split(";"):
                        self.execute(statement)
                    self.execute(f"PRAGMA user_version = {_VERSION}")
                    filled(self)
            if version not in (0, _VERSION):
                raise GraftError(f"{path}: of version {version}; this one reads version {_VERSION}")

    def close(self) -> None:
        """Closes it."""
        self._connection.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Executes a statement. Raises sqlite3.Error, which `faults` makes one line."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Executes a statement for each row. Raises sqlite3.Error."""
        self._connection.executemany(statement, rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done in it is kept, or none of it. Raises GraftError."""
        with self.faults():
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself ends it where the disk is full
                    self.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """Makes a GraftError of what SQLite raises in it."""
        try:
            yield
        except sqlite3.Error as error:
            raise GraftError(f"{self._path}: {error}; it must be {self._what}") from error
