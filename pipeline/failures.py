"""One line for whatever a run may fail with: what ran out, where, and what to do about it.

TFX, Beam and TensorFlow wrap the error of the system in errors of their own, or leave only its text. So the whole chain
of causes is looked at, by type and number first, then by what the libraries write.
"""

import errno
import os
import pathlib
import re
import tempfile
import textwrap
from collections.abc import Iterator

from graft.models import memory
from graft.models.errors import GraftError
from graft.pipeline import stages

EXIT_GATE, EXIT_ERROR, EXIT_FAULT = 1, 2, 3
MEMORY, THREADS, DISK = "memory", "threads", "disk"

EXHAUSTED = {
    MEMORY: "memory ran out",
    THREADS: "no more threads can be started; raise the limit on processes (ulimit -u, or pids of the container)",
    DISK: "the disk or a quota is full",
}
"""A kind of exhaustion in words, where no more is known."""

_LONGEST = 500
"""Characters of an error that nobody foresaw."""
_STACKS = 512 << 20
"""Below this, bytes: a thread takes 8 MiB of addresses, and is refused for want of memory."""

_NUMBERS = {
    errno.ENOSPC: DISK,
    errno.EDQUOT: DISK,
    errno.EFBIG: DISK,
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: THREADS,  # fork and clone; a file that would block says BlockingIOError, and no stage has one
}
# In this order: TensorFlow calls a full disk ResourceExhausted too.
_TEXTS = (
    (DISK, re.compile(r"No space left on device|Disk quota exceeded|File too large|database or disk is full", re.I)),
    (THREADS, re.compile(r"can't start new thread|pthread_create|Resource temporarily unavailable")),
    (
        MEMORY,
        re.compile(
            r"std::bad_alloc|OOM when allocating|Cannot allocate memory|Unable to allocate [\d.]+ .?i?B|malloc of size"
            r"|failed to allocate|out of memory|Failed to allocate memory",
            re.I,
        ),
    ),
)
_PATH = re.compile(r"(?<![\w/.])(/[^\s;:,'\"]+)")
_BEAM = re.compile(r" \[while running '[^']*'\]")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then its causes, the nearest first."""
    seen: set[int] = set()
    while id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__ or error


def kind_of(error: BaseException) -> str | None:
    """What ran out: memory, threads or disk; None if nothing did.

    A GraftError says for itself what is wrong, unless the system's error is behind it.
    """
    errors = list(chain(error))
    for one in errors:
        if isinstance(one, MemoryError):
            return MEMORY
        if isinstance(one, OSError) and one.errno in _NUMBERS:
            return _NUMBERS[one.errno]
    for one in errors:
        if isinstance(one, GraftError):
            return None
        for kind, pattern in _TEXTS:
            if pattern.search(str(one)):
                return kind
    return None


def explain(error: BaseException, stage: str = "", root: pathlib.Path | None = None) -> tuple[str, int]:
    """The one line for the user, and the exit code.

    Args:
        error: what was raised.
        stage: which stage raised it, empty if none did.
        root: a folder the run writes to; where the error names no file, the fullest disk of this and of the temporary
            files is meant.
    """
    kind = kind_of(error)
    where = f"{stage}: " if stage else ""
    if isinstance(error, GraftError):
        free = f" ({free_bytes(_place(error, root)):,} bytes are free)" if kind == DISK else ""
        return f"{error}{free}", EXIT_ERROR
    bound = memory.available()
    if kind == MEMORY or (kind == THREADS and bound.bytes < _STACKS):
        room = stages.find(stage)
        lower = f"; lower {room.needs}" if room is not None and room.needs else ""
        return f"{where}{EXHAUSTED[MEMORY]} ({bound}){lower}", EXIT_ERROR
    if kind == THREADS:
        return f"{where}{EXHAUSTED[THREADS]}", EXIT_ERROR
    if kind == DISK:
        return f"{where}{_full(error, root)}", EXIT_ERROR
    for one in chain(error):
        if isinstance(one, GraftError):  # Beam says which of its steps ran; that helps nobody
            return _BEAM.sub("", str(one)), EXIT_ERROR
    if isinstance(error, OSError):
        return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", EXIT_ERROR
    return f"{where}{type(error).__name__}: {textwrap.shorten(str(error), _LONGEST)}", EXIT_FAULT


def _full(error: BaseException, root: pathlib.Path | None) -> str:
    """Path, free bytes and what to do."""
    limited = any(isinstance(one, OSError) and one.errno == errno.EFBIG for one in chain(error))
    path = _place(error, root)
    advice = "free some space and run the same command again"
    if limited:
        return f"{path}: the file is larger than a file may be here (ulimit -f); raise the limit and run again"
    return f"{path}: {EXHAUSTED[DISK]} ({free_bytes(path):,} bytes are free); {advice}"


def _place(error: BaseException, root: pathlib.Path | None) -> pathlib.Path:
    """The file that could not be written, or else the folder with the least room."""
    places = [place for place in (root, pathlib.Path(tempfile.gettempdir())) if place is not None]
    return _written(error) or min(places, key=free_bytes)


def _written(error: BaseException) -> pathlib.Path | None:
    """The file that could not be written, where an error names it."""
    for one in chain(error):
        if isinstance(one, OSError) and one.errno in _NUMBERS and one.filename:
            return pathlib.Path(str(one.filename2 or one.filename))
    for one in chain(error):
        text = str(one)
        found = _TEXTS[0][1].search(text)
        # Libraries write the path first, or right after; a line of a traceback names a module.
        if found:
            line = text[text.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
            named = [path for path in _PATH.findall(line) if not path.endswith(".py")]
            if named:
                return pathlib.Path(named[0])
    return None


def free_bytes(path: pathlib.Path) -> int:
    """What a user may still write on the disk of `path`, or of the nearest folder above it that there is."""

    for place in (path, *path.absolute().parents):
        try:
            found = os.statvfs(place)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return 0
