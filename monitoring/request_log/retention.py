"""Old files of a log are deleted, by age and by size in all."""

import logging
import pathlib
import time

from graft.monitoring.request_log.log_file import files

_JUMP_S = 600.0
_DISTRUST_S = 3600.0

logger = logging.getLogger(__name__)


class WallClock:
    """The time of day, and whether the age of a file can be told by it.

    A clock that was put forward makes all files old; if it is put back within the hour, none was deleted for that.
    """

    def __init__(self) -> None:
        self._offset, self._jumped = time.time() - time.monotonic(), -float("inf")

    def is_steady(self) -> bool:
        """Whether it went as the clock `time.monotonic` did for an hour; a jump of 10 minutes or more is logged."""
        now = time.monotonic()
        jump = time.time() - now - self._offset
        if abs(jump) >= _JUMP_S:
            logger.warning("the clock jumped by %.0f s: for an hour no file of the log is deleted for its age", jump)
            self._offset, self._jumped = self._offset + jump, now
        return now - self._jumped >= _DISTRUST_S


def expire(folder: pathlib.Path, keep_days: float | None, keep_bytes: int | None) -> list[pathlib.Path]:
    """Deletes whole files: those that were finished more than `keep_days` ago, then the oldest beyond `keep_bytes`.

    What is being written and what is not the log's own is left alone.

    Returns:
        What was deleted.

    Raises:
        OSError: the folder cannot be read, or a file cannot be deleted.
    """
    found = []
    for path in files(folder):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # another writer of this folder was faster
        found.append((path, status.st_mtime, status.st_size))
    oldest = -float("inf") if keep_days is None else time.time() - keep_days * 86_400
    total = sum(size for _, finished, size in found if finished >= oldest)
    deleted = []
    for path, finished, size in found:
        if finished >= oldest:
            if keep_bytes is None or total <= keep_bytes:
                continue
            total -= size
        path.unlink(missing_ok=True)
        deleted.append(path)
    return deleted
