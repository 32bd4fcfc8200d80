"""Opens files that may be anything: a FIFO, a device, a folder in a file's place."""

import errno
import os
import stat
from typing import BinaryIO


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a regular file; waits for nobody, as `open` does at a FIFO.

    Raises:
        OSError: It is missing, may not be read or is no regular file; `strerror` says which.
    """
    return os.fdopen(open_descriptor(path)[0], "rb")


def open_descriptor(path: str | os.PathLike) -> tuple[int, os.stat_result]:
    """As `open_regular`, without a file object: the descriptor, which the caller closes, and the file's status."""
    try:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a NUL in the name, or what no file system can spell
        raise OSError(errno.EINVAL, str(error)) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"is {_kind(status.st_mode)}, not a regular file")
    return descriptor, status


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return f"of mode {mode:o}"
