"""An export that was loaded to be compared is still in memory when it is to predict: loading one takes seconds."""

import pathlib
import threading
from typing import Any

import tensorflow as tf

_lock = threading.Lock()
_held: tuple[tuple, Any] | None = None


def load_export(path: str | pathlib.Path) -> Any:
    """`tf.saved_model.load`, from the files, and held for the next `take_export` of the same."""
    global _held
    with _lock:
        _held = None  # never two in memory
    key, loaded = _key(path), tf.saved_model.load(str(path))
    with _lock:
        _held = (key, loaded)
    return loaded


def take_export(path: str | pathlib.Path) -> Any:
    """What `load_export` held, if it was of these very files, else `tf.saved_model.load`; nothing is held after it."""
    global _held
    key = _key(path)
    with _lock:
        held, _held = _held, None
    return held[1] if held is not None and held[0] == key else tf.saved_model.load(str(path))


def _key(path: str | pathlib.Path) -> tuple:
    """Where it lies, and what tells another export in the same place."""
    folder = pathlib.Path(path).resolve()
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return (folder, *((file.name, file.stat().st_ino, file.stat().st_size, file.stat().st_mtime_ns) for file in files))
