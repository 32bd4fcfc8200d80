"""Local copies of versions that lie in an object store, for whoever needs a folder: to serve, to compare, to teach.

A copy is a folder named by the sha256 of the version's manifest. Each file is compared with the manifest; the folder
gets its name when it is whole. A file that another copy has already (same sha256) is linked, not brought again.
Processes share the cache: who brings a version holds its lock, the others find it done.
"""

import contextlib
import hashlib
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from graft.models import durable
from graft.models.errors import GraftError
from graft.models.hashing import hash_file
from graft.models.private_folder import store_cache
from graft.serving import manifest
from graft.serving.pointer import StoreError

MAX_BYTES = 16 << 30
"""What all copies may take together; beyond it those that were asked for longest ago go."""
IN_USE_S = 3600.0
"""A copy asked for within this time, in seconds, is spared: somebody may be about to load it."""

Download = Callable[[str, pathlib.Path, int, str], None]

logger = logging.getLogger(__name__)


def place(written: bytes) -> pathlib.Path:
    """Where the copy of the version lies, or will, whose manifest has these bytes."""
    return store_cache() / hashlib.sha256(written).hexdigest()


def bring(written: bytes, address: str, download: Download, together: Callable[..., list]) -> pathlib.Path:
    """The whole copy of a version, brought here if it is not.

    Args:
        written: the bytes of its manifest.
        address: of the version, for messages.
        download: `download(name, path, size, sha256)` writes a file of the version to the new file `path`.
        together: `together(work, items)` does work for all items, several at a time.

    Raises:
        StoreError: it cannot be brought; nothing is left.
        GraftError: the manifest is none.
    """
    files = manifest.parse(written, f"{address}/{manifest.NAME}")["files"]
    _check_names(files, address)
    target = place(written)
    try:
        with durable.locked(target.with_suffix(".lock")):
            if target.is_dir() and not manifest.problems(target):
                os.utime(target)
                return target
            with durable.filling(target) as partial:  # what is there is none any more, or somebody changed it
                _fill(partial, files, download, together)
                (partial / manifest.NAME).write_bytes(written)
        _trim(keep=target)
    except OSError as error:
        raise StoreError(f"{address} cannot be kept in {target.parent}: {error}; make room there") from error
    return target


def _fill(folder: pathlib.Path, files: dict[str, Any], download: Download, together: Callable[..., list]) -> None:
    here = _contents(folder.parent)

    def fill(item: tuple[str, dict[str, Any]]) -> None:
        name, expected = item
        path = folder / name
        if _linked(here.get(expected["sha256"], ()), path, expected["sha256"]):
            return
        download(name, path, expected["size"], expected["sha256"])

    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    together(fill, files.items())


def _linked(sources: Iterable[pathlib.Path], path: pathlib.Path, sha256: str) -> bool:
    for source in sources:
        with contextlib.suppress(OSError, GraftError):  # it may just have been deleted
            if hash_file(source) == sha256:
                os.link(source, path)
                return True
    return False


def _contents(cache: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Files of the whole copies by their sha256."""
    found: dict[str, list[pathlib.Path]] = {}
    for folder in _copies(cache):
        with contextlib.suppress(GraftError):  # it may just have been deleted
            for name, described in manifest.read(folder)["files"].items():
                found.setdefault(described["sha256"], []).append(folder / name)
    return found


def _copies(cache: pathlib.Path) -> Iterator[pathlib.Path]:
    yield from (path for path in cache.iterdir() if len(path.name) == 64 and path.is_dir())


def _check_names(files: dict[str, Any], address: str) -> None:
    """Who writes to the store must not write elsewhere on this machine."""
    for name in files:
        path = pathlib.PurePosixPath(name)
        if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name or str(path) != name:
            raise StoreError(f"{address}: its manifest names {name!r}; allowed: relative paths without '..'")


def _trim(keep: pathlib.Path) -> None:
    """Deletes the copies asked for longest ago while all take more than `MAX_BYTES`."""
    now, copies, total = time.time(), [], 0
    for folder in _copies(keep.parent):
        with contextlib.suppress(OSError):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            copies.append((folder.stat().st_mtime, size, folder))
            total += size
    for used, size, folder in sorted(copies):
        if total <= MAX_BYTES:
            return
        if folder == keep or now - used < IN_USE_S:
            continue
        with durable.locked(folder.with_suffix(".lock")), contextlib.suppress(OSError):
            durable.unfill(folder)
            folder.with_suffix(".lock").unlink()
            logger.info("%s deleted: the cache holds at most %d bytes", folder, MAX_BYTES)
        total -= size
