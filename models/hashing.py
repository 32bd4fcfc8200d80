"""Identities of files and folders; imports nothing heavy."""

import hashlib
import os
import pathlib
import time
from collections.abc import Iterable

_SETTLED_SECONDS = 2.0
_known: dict[tuple, str] = {}


def hash_file(path: pathlib.Path) -> str:
    """sha256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_folder(folder: pathlib.Path, files: Iterable[pathlib.Path] | None = None) -> str:
    """sha256 in hex over the relative names and the contents of files under `folder`; all of them by default.

    Links to folders are followed: what lies behind them is read by whoever reads the folder.
    """
    total = hashlib.sha256()
    for file in sorted(_files(folder) if files is None else files):
        total.update(f"{file.relative_to(folder).as_posix()}\0{hash_file(file)}\n".encode())
    return total.hexdigest()


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


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    walk = os.walk(folder, followlinks=True)
    return [pathlib.Path(top, name) for top, _, names in walk for name in names]
