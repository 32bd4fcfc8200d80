"""What a monitor remembers survives it; a foreign database is refused in a line."""

import sqlite3

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.monitoring.drift.state import NAME, State


def keys(*names: str) -> np.ndarray:
    return np.array([list(name.ljust(17).encode()) for name in names], np.uint8)


def test_ids_are_new_once_until_their_file_is_forgotten(tmp_path):
    with State(tmp_path, "m") as state, state.transaction():
        one, two = state.add_file("one"), state.add_file("two")
        assert state.first_seen(keys("a", "b", "a"), one).tolist() == [True, True, False]
        assert state.first_seen(keys("b", "c"), two).tolist() == [False, True]
    with State(tmp_path, "m") as state:
        assert state.files() == {"one": one, "two": two}
        state.forget([])
        state.forget([one])
        assert state.files() == {"two": two} and state.first_seen(keys("a", "c"), two).tolist() == [True, False]


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    with State(tmp_path, "m") as state:
        with pytest.raises(KeyboardInterrupt), state.transaction():
            state.count(requests=3)
            raise KeyboardInterrupt
        with state.transaction():
            state.count(requests=2, repeated=0)
        with state.transaction():
            state.count(requests=2)
            state.add_unknown(3, 5, "gone")
            state.add_unknown(3, 2, "gone")
        assert state.totals() == {"requests": 4} and state.unknown() == {3: (7, "gone")}


def test_labels_wait_by_file_of_their_request(tmp_path):
    with State(tmp_path, "m") as state:
        with state.transaction():
            file = state.add_file("one")
            state.first_seen(keys("a", "b"), file)
            state.score([("b", 0)])
        given = [
            (keys(name)[0].tobytes(), name, row, {"label": "x"})
            for name, row in (("a", 0), ("a", 1), ("b", 0), ("z", 0))
        ]
        for _ in range(2):
            assert state.pend(given) == 1 and state.pending_files() == [file]
            assert state.pending(file) == {"a": {0: {"label": "x"}, 1: {"label": "x"}}}


def test_what_is_no_state_is_refused(tmp_path):
    (tmp_path / NAME).write_bytes(b"no database, and longer than the header of one" * 100)
    with pytest.raises(
        GraftError, match=r"state.sqlite: .*it must be the state of a monitor, on a local disk with room"
    ):
        State(tmp_path, "m")
    (tmp_path / NAME).unlink()
    State(tmp_path, "m").close()
    database = sqlite3.connect(tmp_path / NAME)
    database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(GraftError, match="of version 9; this one reads version 1"):
        State(tmp_path, "m")
