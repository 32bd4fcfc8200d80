"""A checkpoint is there as a whole or not at all."""

import numpy as np
import pytest

from graft.models.checkpoint import Checkpoint
from graft.models.errors import GraftError


def test_round_trip_and_removal(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new", {"a": 1})
    assert checkpoint.load() is None
    checkpoint.save({"epoch": 3, "loss": 0.1}, {"w": np.arange(4.0), "step": np.int64(7)})
    meta, arrays = Checkpoint(tmp_path / "new", {"a": 1}).load()
    assert meta == {"epoch": 3, "loss": 0.1}
    np.testing.assert_array_equal(arrays["w"], np.arange(4.0))
    assert arrays["step"] == 7
    checkpoint.remove()
    assert list((tmp_path / "new").iterdir()) == []
    checkpoint.remove()


def test_another_identity_is_another_file(tmp_path):
    Checkpoint(tmp_path, {"epochs": 3}).save({}, {})
    assert Checkpoint(tmp_path, {"epochs": 4}).load() is None


def test_interrupted_write_leaves_the_old_state(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path, 1)
    checkpoint.save({"epoch": 1}, {"w": np.zeros(3)})

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({"epoch": 2}, {"w": np.ones(3)})
    assert checkpoint.load()[0] == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [checkpoint.path]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda whole: b"not a zip file", "pickled"),
        (lambda whole: b"", "No data left in file"),
        (lambda whole: whole[: len(whole) // 2], "File is not a zip file"),
        (lambda whole: whole.replace(b"NUMPY", b"NUMPI"), "."),
        (lambda whole: b"\x93NUMPY" + bytes(10), "."),
        (lambda whole: b"PK\x05\x06" + bytes(18), "identity"),
    ],
)
def test_damaged_file_is_named(tmp_path, damage, message):
    checkpoint = Checkpoint(tmp_path, 1)
    checkpoint.save({"epoch": 1}, {"w": np.arange(1000.0)})
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    with pytest.raises(GraftError, match=rf"not a readable checkpoint \(.*{message}.*\); delete it to start anew"):
        checkpoint.load()


def test_the_state_of_another_training_under_this_name(tmp_path):
    other, checkpoint = Checkpoint(tmp_path, {"seed": 1}), Checkpoint(tmp_path, {"seed": 2})
    other.save({"epoch": 1}, {"w": np.zeros(3)})
    other.path.rename(checkpoint.path)
    with pytest.raises(GraftError, match="it holds the state of another training"):
        checkpoint.load()


def test_a_foreign_archive(tmp_path):
    checkpoint = Checkpoint(tmp_path, 1)
    np.savez(checkpoint.path, weights=np.zeros(3))
    with pytest.raises(GraftError, match=r"not a readable checkpoint .*identity"):
        checkpoint.load()
