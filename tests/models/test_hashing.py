"""Hashes of backbones, remembered while nothing changes."""

import os
import pathlib

import pytest

from graft.models import hashing
from graft.models.errors import GraftError
from graft.models.hashing import backbone_hash, hash_file, hash_folder


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """Two files, last changed long ago."""
    (tmp_path / "variables").mkdir()
    for name in ("saved_model.pb", "variables/data"):
        (tmp_path / name).write_bytes(b"one")
        os.utime(tmp_path / name, (1e9, 1e9))
    return tmp_path


@pytest.fixture
def reads(monkeypatch) -> list[pathlib.Path]:
    """The files that were hashed; what was written just now counts as settled."""
    read: list[pathlib.Path] = []
    monkeypatch.setattr(hashing, "hash_file", lambda path: (read.append(path), hash_file(path))[1])
    monkeypatch.setattr(hashing, "_SETTLED_SECONDS", -1.0)
    monkeypatch.setattr(hashing, "_known", {})
    return read


def test_the_same_as_the_plain_hashes(folder):
    assert backbone_hash(folder) == hash_folder(folder)
    assert backbone_hash(folder / "saved_model.pb") == hash_file(folder / "saved_model.pb")


def test_read_once_while_nothing_changes(folder, reads):
    assert backbone_hash(folder) == backbone_hash(folder)
    assert len(reads) == 2


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_change_is_seen(folder, reads, keep_times):
    """Other content of the same size; with the old times put back only the inode's own time tells."""
    before = backbone_hash(folder)
    (folder / "variables" / "data").write_bytes(b"two")
    if keep_times:
        os.utime(folder / "variables" / "data", (1e9, 1e9))
    assert backbone_hash(folder) == hash_folder(folder) != before


def test_what_was_written_just_now_is_not_trusted(folder, reads, monkeypatch):
    monkeypatch.setattr(hashing, "_SETTLED_SECONDS", 3600.0)
    backbone_hash(folder), backbone_hash(folder)
    assert len(reads) == 4


def test_a_file_that_comes_or_goes_is_seen(folder, reads):
    before = backbone_hash(folder)
    (folder / "assets").write_bytes(b"")
    assert backbone_hash(folder) != before
    (folder / "assets").unlink()
    assert backbone_hash(folder) == before


def test_a_folder_that_leads_back_to_itself_is_read_once(tmp_path):
    (tmp_path / "weights").write_text("one")
    before = hash_folder(tmp_path)
    for number in range(8):  # eight links, forty levels deep: 8 ** 40 files
        (tmp_path / f"again{number}").symlink_to(tmp_path, target_is_directory=True)
    assert hash_folder(tmp_path) == before


def test_a_pipe_is_no_content(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GraftError, match="pipe: cannot be read: it is no plain file"):
        hash_folder(tmp_path)
    (tmp_path / "pipe").unlink()
    (tmp_path / "zeros").symlink_to("/dev/zero")
    with pytest.raises(GraftError, match="zeros: cannot be read: it is no plain file"):
        backbone_hash(tmp_path)


def test_the_order_of_keys_is_no_part_of_a_value():
    assert hashing.hash_json({"a": 1, "b": [2]}) == hashing.hash_json({"b": [2], "a": 1})
    assert hashing.hash_json([1, 2]) != hashing.hash_json([2, 1])
