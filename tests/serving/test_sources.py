"""What a server is told to serve, from the files of a store or of a base path."""

import pathlib

import pytest

from graft.serving.sources import FolderSource, StoreSource
from graft.serving.store import open_store


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "store")
    for number in range(3):
        folder = tmp_path / f"export{number}"
        folder.mkdir()
        (folder / "saved_model.pb").write_text(str(number))
        store.push("m", folder, {})
    return store


def numbers(wanted):
    return list(wanted.versions), list(wanted.fallbacks)


def test_store_source_follows_the_pointer(store):
    source = StoreSource(store)
    assert numbers(source.poll()["m"]) == ([3], [1, 2])
    store.rollback("m")
    assert numbers(source.poll()["m"]) == ([2], [1, 3])
    assert source.poll()["m"].versions[2] == store.version_path("m", 2)


def test_broken_pointer_is_recovered_at_the_start_and_kept_later(store, tmp_path, caplog):
    source = StoreSource(store)
    source.poll()
    (store.path / "m" / "CURRENT").write_text("[]")
    caplog.clear()
    assert source.poll() == {} and source.poll() == {}
    assert caplog.text.count("not a pointer") == 1, "said once, not at each poll"
    (store.version_path("m", 3) / "saved_model.pb").write_text("changed")
    assert numbers(StoreSource(store).poll()["m"]) == ([2], [1, 3])


def test_a_model_without_a_whole_version_is_wanted_so_that_its_status_says_why(store):
    for version in store.versions("m"):
        (store.version_path("m", version) / "saved_model.pb").write_text("changed")
    (store.path / "m" / "CURRENT").unlink()
    assert numbers(StoreSource(store).poll()["m"]) == ([3], [1, 2])


def test_push_and_retention_between_two_looks_of_one_poll(store, tmp_path, monkeypatch, caplog):
    """Between the look at the pointer and the list of versions the served one goes: the model is left as it is."""
    source = StoreSource(store)
    monkeypatch.setattr(store, "places", lambda name: {1: store.path / "1", 2: store.path / "2"})
    assert source.poll() == {}
    assert "model m: version 3 is gone" in caplog.text


def test_store_that_vanishes(store, caplog):
    source = StoreSource(store)
    store.path.rename(store.path.with_name("away"))
    assert source.poll() == {}
    assert "no such folder" in caplog.text


def test_folder_source(tmp_path, caplog):
    base = tmp_path / "base"
    assert FolderSource("m", base).poll() == {}
    assert "cannot be listed" in caplog.text
    base.mkdir()
    assert numbers(FolderSource("m", base).poll()["m"]) == ([], [])
    for name in ("1", "00000012", "3.tmp", "junk"):
        (base / name).mkdir()
    assert numbers(FolderSource("m", base).poll()["m"]) == ([12], [])
    for folder, number in (("7", 7), ("Format-Serving", 1), ("²", 1)):
        path = tmp_path / folder
        path.mkdir()
        pathlib.Path(path, "saved_model.pb").touch()
        assert FolderSource("m", path).poll()["m"].versions == {number: path}
