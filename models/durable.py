"""Writes that survive a crash: nothing is visible under its final name before all of its bytes are on disk."""

import contextlib
import errno
import fcntl
import logging
import os
import pathlib
import shutil
import types
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from graft.models.errors import GraftError
from graft.models.regular_file import open_regular

TEMPORARY_PREFIX = ".tmp-"
_PARTIAL = ".partial"
_CHUNK = 1 << 20

logger = logging.getLogger(__name__)


def temporary_path(folder: pathlib.Path) -> pathlib.Path:
    """A fresh name in `folder`, on the same filesystem as the name it will be renamed to."""
    return folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"


def sync_folder(folder: pathlib.Path) -> None:
    """Makes the names in `folder` (creations, renames) durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: pathlib.Path, content: bytes) -> None:
    """Writes `content` to the new file `path` and waits until it is on disk. Raises OSError."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _named(path: pathlib.Path) -> Iterator[None]:
    """Names `path` in an OSError: a full disk names no file, and a temporary name tells nobody anything."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def staged(path: pathlib.Path, content: bytes) -> Iterator[Callable[[], None]]:
    """Writes `content` beside `path` and yields what puts it there; without that call nothing stays. Raises OSError."""
    temporary = temporary_path(path.parent)

    def replace() -> None:
        with _named(path):
            temporary.replace(path)
            sync_folder(path.parent)

    try:
        with _named(path):
            write_synced(temporary, content)
        yield replace
    finally:
        with contextlib.suppress(OSError):  # it may never have been made: its folder is none, or full
            temporary.unlink()


@contextlib.contextmanager
def replacing(path: pathlib.Path, partial: pathlib.Path | None = None, sync: bool = True) -> Iterator[pathlib.Path]:
    """A name to write to, which becomes `path` at the end; after an error nothing stays.

    Args:
        path: the file.
        partial: the name to write to, beside `path`. A fresh one by default, so that several may write at once; a fixed
            one leaves no more than one file behind, however often its writer is killed.
        sync: wait for the disk, so that the file is whole after a crash of the machine too.

    Raises:
        OSError: it cannot be put there.
    """
    partial = partial or temporary_path(path.parent)
    try:
        yield partial
        if sync:
            with partial.open("rb") as file:
                os.fsync(file.fileno())
        with _named(path):
            partial.replace(path)
            if sync:
                sync_folder(path.parent)
    except BaseException:  # the disk may be full: the room goes back
        partial.unlink(missing_ok=True)
        raise


def write_atomic(path: pathlib.Path, content: bytes) -> None:
    """Replaces `path` in one step: readers see the old bytes or the new ones, also after a crash. Raises OSError."""
    with staged(path, content) as replace:
        replace()


@contextlib.contextmanager
def filling(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder to fill, for this user alone, which becomes `folder` at the end; after an error nothing stays.

    What has that name goes first. The caller holds a lock of `folder`: the name to fill is a fixed one, and what is
    there was left by a process that died. Raises OSError.
    """
    partial = folder.with_suffix(_PARTIAL)
    unfill(folder)
    try:
        partial.mkdir(mode=0o700)
        yield partial
        partial.rename(folder)
    finally:
        _remove(partial)


def unfill(folder: pathlib.Path) -> None:
    """Deletes what `filling` made, whole or not; under its own name a folder is whole or not there. Raises OSError."""
    partial = folder.with_suffix(_PARTIAL)
    _remove(partial)
    if folder.exists():
        _remove(folder.rename(partial))


def _remove(folder: pathlib.Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def read_small(path: pathlib.Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Waits for nobody: a pipe in its place is an error.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read, is no regular file or is larger.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than the {limit} bytes that it may have")
    return content


def copy_tree(
    source: pathlib.Path,
    target: pathlib.Path,
    files: list[str],
    folders: list[str],
    beside: Mapping[str, pathlib.Path] = types.MappingProxyType({}),
) -> None:
    """Copies the relative `files` and `folders` of `source` into the new folder `target` and waits for the disk.

    Modes are not copied: a read-only source must not make a version that retention cannot delete. Raises OSError.

    Args:
        source: a folder.
        target: a new folder.
        files: names below both.
        folders: names below both.
        beside: files from elsewhere, by their names below `target`; they go before those of `source`.
    """
    above = {str(parent) for name in beside for parent in pathlib.PurePosixPath(name).parents if parent.name}
    folders = sorted({*folders, *above})
    target.mkdir()
    for folder in folders:
        (target / folder).mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys([*files, *beside]):
        with beside.get(name, source / name).open("rb") as reader, (target / name).open("xb") as writer:
            shutil.copyfileobj(reader, writer, _CHUNK)
            writer.flush()
            os.fsync(writer.fileno())
    for folder in [*sorted(folders, reverse=True), "."]:
        sync_folder(target / folder)


def discard(path: pathlib.Path) -> None:
    """Deletes a folder or file so that a crash halfway leaves only a name that `sweep` recognises."""
    if not path.exists() and not path.is_symlink():
        return
    if not path.name.startswith(TEMPORARY_PREFIX):
        path = path.rename(temporary_path(path.parent))
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def sweep(folder: pathlib.Path) -> list[str]:
    """Deletes what killed processes left in `folder`, and returns the names. The caller holds the folder's lock."""
    swept = []
    for path in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
        try:
            discard(path)
        except OSError as error:
            logger.error("%s was left by a push that did not end and cannot be deleted: %s", path, error.strerror)
            continue
        logger.warning("%s was left by a push that did not end: deleted", path)
        swept.append(path.name)
    return swept


@contextlib.contextmanager
def locked(path: pathlib.Path, waiting: Callable[[IO[str]], None] | None = None) -> Iterator[IO[str]]:
    """Holds the advisory lock (flock) on the file `path`; waits for the process or thread that has it.

    The kernel frees the lock when its holder dies, so a SIGKILL never leaves one behind.

    Args:
        path: made if need be; its content is the holder's own business.
        waiting: called with the open file before the wait, if there is one; what it raises ends it.

    Yields:
        The open file, to read and write.

    Raises:
        GraftError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise GraftError(
            f"{path}: the lock file cannot be opened ({error.strerror}); its folder must be writable"
        ) from error
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting(file)
            logger.info("%s is held by another process: waiting for it", path)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
