"""What was loaded once is taken once, and only if it is the same."""

import gc
import weakref

import pytest
import tensorflow as tf

from graft.models import loaded_export


def save(folder, value: float) -> None:
    module = tf.Module()
    module.value = tf.Variable(value)
    tf.saved_model.save(module, str(folder))


@pytest.fixture
def loads(monkeypatch):
    """Folders that TensorFlow loaded."""
    seen = []
    load = tf.saved_model.load
    monkeypatch.setattr(tf.saved_model, "load", lambda path: seen.append(path) or load(path))
    return seen


@pytest.mark.slow
def test_what_was_loaded_is_taken_by_the_next_one_only(tmp_path, loads):
    save(tmp_path / "model", 1.0)
    loaded = loaded_export.load_export(tmp_path / "model")
    assert loaded_export.take_export(tmp_path / "model") is loaded
    assert len(loads) == 1
    assert loaded_export.take_export(tmp_path / "model") is not loaded
    assert len(loads) == 2
    gone = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert gone() is None, "nothing stays in memory"


def test_another_export_is_loaded_from_its_files(tmp_path, loads):
    save(tmp_path / "model", 1.0)
    save(tmp_path / "other", 2.0)
    loaded_export.load_export(tmp_path / "model")
    assert loaded_export.take_export(tmp_path / "other").value.numpy() == 2.0
    assert loads == [str(tmp_path / "model"), str(tmp_path / "other")]


def test_an_export_that_was_written_again_is_loaded_again(tmp_path, loads):
    save(tmp_path / "model", 1.0)
    loaded_export.load_export(tmp_path / "model")
    save(tmp_path / "new", 2.0)
    (tmp_path / "model").rename(tmp_path / "old")
    (tmp_path / "new").rename(tmp_path / "model")
    assert loaded_export.take_export(tmp_path / "model").value.numpy() == 2.0
    assert len(loads) == 2
