"""A database is made once, keeps all of a transaction or none, and says in a line what is wrong."""

import sqlite3

import pytest

from graft.models.errors import GraftError
from graft.monitoring.database import Database, read_only

SCHEMA = "CREATE TABLE a (x INTEGER);\nCREATE TABLE b (y TEXT);\n"
WHAT = "the notes of a test"


def test_it_is_made_and_filled_once(tmp_path):
    made = []
    for _ in range(2):
        database = Database(tmp_path / "d", SCHEMA, WHAT, filled=lambda new: made.append(new.execute("SELECT 1")))
        database.execute("INSERT INTO a VALUES (1)")
        database.close()
    assert len(made) == 1
    assert Database(tmp_path / "d", SCHEMA, WHAT).execute("SELECT count(*) FROM a").fetchone() == (2,)


def test_a_filling_that_fails_leaves_no_tables(tmp_path):
    with pytest.raises(GraftError, match="no such table: c; it must be the notes of a test"):
        Database(tmp_path / "d", SCHEMA, WHAT, filled=lambda new: new.execute("INSERT INTO c VALUES (1)"))
    Database(tmp_path / "d", SCHEMA, WHAT).execute("INSERT INTO a VALUES (1)")


def test_a_transaction_is_whole_or_nothing(tmp_path):
    database = Database(tmp_path / "d", SCHEMA, WHAT)
    with pytest.raises(KeyboardInterrupt), database.transaction():
        database.execute("INSERT INTO a VALUES (1)")
        raise KeyboardInterrupt
    with database.transaction():
        database.executemany("INSERT INTO a VALUES (?)", [(2,), (3,)])
    assert [x for (x,) in database.execute("SELECT x FROM a")] == [2, 3]


def test_another_version_and_another_file_are_refused_in_a_line(tmp_path):
    with sqlite3.connect(tmp_path / "later") as later:
        later.execute("PRAGMA user_version = 7")
    with pytest.raises(GraftError, match="later: of version 7; this one reads version 1"):
        Database(tmp_path / "later", SCHEMA, WHAT)
    (tmp_path / "text").write_text("no database, but long enough to be read as one" * 40)
    with pytest.raises(GraftError, match="text: file is not a database; it must be the notes of a test"):
        Database(tmp_path / "text", SCHEMA, WHAT)


def test_a_reader_changes_nothing_and_says_what_is_wrong_in_a_line(tmp_path):
    path = tmp_path / "a # b?"
    with (
        pytest.raises(GraftError, match=r"cannot be read \(unable to open .*; it must be the notes of a test"),
        read_only(path, WHAT) as database,
    ):
        database.execute("SELECT 1")
    assert not path.exists()
    Database(path, SCHEMA, WHAT).execute("INSERT INTO a VALUES (1)")
    with read_only(path, WHAT) as database:
        assert database.execute("SELECT x FROM a").fetchall() == [(1,)]
    with pytest.raises(GraftError, match="attempt to write a readonly database"), read_only(path, WHAT) as database:
        database.execute("INSERT INTO a VALUES (2)")
    with pytest.raises(GraftError, match=r"cannot be read .*it must be the notes"), read_only(path, WHAT) as database:
        int("what a row holds")
