"""Identities of files and folders; imports nothing heavy."""

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Iterable
from typing import Any

from graft.models.errors import GraftError

_SETTLED_SECONDS = 2.0
_known: dict[tuple, str] = {}


def hash_file(path: pathlib.Path) -> str:
    """sha256 of a file's content, in hex. Raises GraftError if it is no plain file: a pipe would never end."""
    if not path.is_file():
        raise GraftError(f"{path}: cannot be read: it is no plain file, or a link to nothing")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_folder(folder: pathlib.Path, files: Iterable[pathlib.Path] | None = None) -> str:
    """sha256 in hex over the relative names and the contents of files under `folder`; all of them by default.

    Links to folders are followed, each folder once: what lies behind them is read by whoever reads the folder.
    """
    total = hashlib.sha256()
    for file in sorted(_files(folder) if files is None else files):
        total.update(f"{file.relative_to(folder).as_posix()}\0{hash_file(file)}\n".encode())
    return total.hexdigest()


def hash_json(value: Any) -> str:
    """sha256 in hex of a value of JSON types; the order of a mapping's keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def backbone_hash(path: pathlib.Path) -> str:
    """`hash_file` or `hash_folder` of a network's file or folder, once a process while it stays as it is.

    A network may take 500 MB, and a run asks for its hash several times. A file counts as unchanged by its inode, size
    and times; one that was written in the last two seconds is always read, because it may change again within the
    clock's grain.
    """
    stats = [(str(file), file.stat()) for file in sorted(_files(path) if path.is_dir() else [path])]
    state = (str(path), *((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats))
    if state in _known:
        return _known[state]
    value = hash_folder(path) if path.is_dir() else hash_file(path)
    if all(time.time() - max(s.st_mtime, s.st_ctime) > _SETTLED_SECONDS for _, s in stats):
        _known[state] = value
    return value


def require_identity(handle: str, found: str, expected: str) -> None:
    """Raises GraftError unless a backbone's content is the one that was asked for."""
    if found != expected:
        raise GraftError(
            f"backbone {handle!r} is not the one that was asked for: its sha256 is {found}, expected {expected}"
        )


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    found, seen = [], set()
    for top, folders, names in os.walk(folder, followlinks=True):
        # In the order of the names, so that of two ways to a folder always the same one counts.
        folders.sort()
        status = pathlib.Path(top).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        found += [pathlib.Path(top, name) for name in names]
    return found
