"""Writes records to files in a thread of its own: who brings one never waits for the disk.

What waits is bounded; what does not fit is dropped and counted. A disk that is full or gone costs records, not
requests: it is tried again after a pause, and the series `graft_request_log_failing` is 1 meanwhile.
"""

import collections
import logging
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from graft.models.errors import GraftError
from graft.models.tfrecord_file import framed
from graft.monitoring.request_log.counts import Counts
from graft.monitoring.request_log.log_file import LogFile, MalformedFile, recover
from graft.monitoring.request_log.options import Options
from graft.monitoring.request_log.record import TooLarge
from graft.monitoring.request_log.retention import WallClock, expire
from graft.serving import log_rate

MOST_RECORDS = 20_000
"""Records that may wait, however small they are."""
# A thread that is woken for each record takes more time from the requests than its work does.
_PAUSE_S = 0.2
_CHUNK_BYTES = 1 << 20
_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 30.0
_TIDY_S = 60.0

logger = logging.getLogger(__name__)
logger.addFilter(log_rate.RepeatFilter())  # a line may come with every request

Item = TypeVar("Item")


class Writer(Generic[Item]):
    """A thread with a bounded queue before it.

    Args:
        options: where to write, when to begin a new file, what to keep.
        encode: makes the bytes of a record; called in the thread. Raises TooLarge for what is not to be written.
        counts: told of everything.
        rotated: called in the thread when a file was finished.

    Raises:
        GraftError: the folder cannot be made or written to.
    """

    def __init__(
        self,
        options: Options,
        encode: Callable[[Item], bytes],
        counts: Counts,
        rotated: Callable[[], None] = lambda: None,
    ):
        assert options.folder is not None
        self._folder = pathlib.Path(options.folder)
        self._options, self._encode, self._counts, self._rotated = options, encode, counts, rotated
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            list(self._folder.iterdir())
        except OSError as error:
            raise GraftError(
                f"request_log.folder: {self._folder}: {error.strerror}; it must be a folder that can be written to"
            ) from error
        self._lock = threading.Lock()
        # What waits, and what of it the thread has taken at once: a lock for each record would cost more than it does.
        self._queue: collections.deque[tuple[Item, int]] = collections.deque()
        self._batch: collections.deque[tuple[Item, int]] = collections.deque()
        self._held = 0
        counts.watch(self._waiting)
        self._wake, self._closing = threading.Event(), False
        self._file: LogFile | None = None
        self._retry_at, self._retry_s = 0.0, _FIRST_RETRY_S
        self._tidied, self._clock = -float("inf"), WallClock()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        self._thread.start()

    def offer(self, item: Item, size: int) -> bool:
        """Takes an item of so many bytes; False if there is no room, which is counted. Never waits for the disk."""
        with self._lock:
            reason = self._refusal(size)
            if reason is None:
                self._queue.append((item, size))
                self._held += size
                if 2 * self._held > self._options.queue_bytes or 2 * len(self._queue) > MOST_RECORDS:
                    self._wake.set()
                return True
        self._counts.drop(reason)
        return False

    def _refusal(self, size: int):
        if self._closing:
            return "closed"
        full = self._held + size > self._options.queue_bytes or self._waiting() >= MOST_RECORDS
        return "queue_full" if full else None

    def _waiting(self) -> int:
        return len(self._queue) + len(self._batch)

    def close(self, wait_s: float = 10.0) -> bool:
        """Writes what waits and finishes the file; whether that was done within `wait_s` seconds."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            with self._lock:
                left = self._waiting()
                self._queue.clear()
                self._batch.clear()
            self._counts.drop("closed", left)
            logger.error("%s: the disk does not answer: %d records of the log are lost", self._folder, left)
            return False
        return True

    def _run(self) -> None:
        ending = False
        while not ending:
            self._wake.wait(_PAUSE_S)
            self._wake.clear()
            ending = self._closing
            try:
                self._round()
            except Exception:  # the thread must outlive any fault: without it, all that comes would be dropped
                logger.exception("the request log failed")
        self._counts.drop("closed", self._waiting())  # where the last round failed
        try:
            self._finish()
            self._tidy()
        except Exception:
            logger.exception("the request log failed when it was closed")

    def _round(self) -> None:
        if time.monotonic() - self._tidied >= _TIDY_S:
            self._tidy()
        # All that waits now. What comes meanwhile waits for the next round: small rounds would cost more a record.
        with self._lock:
            self._batch += self._queue
            self._queue.clear()
        while True:
            chunk, count = self._next_chunk()
            if count:
                self._append(chunk, count)
            if self._file is not None and self._is_due(self._file):
                self._finish()
                self._tidy()
            if not self._batch:
                return

    def _is_due(self, file: LogFile) -> bool:
        old = time.monotonic() - file.begun >= self._options.rotate_seconds
        return old or file.size >= self._options.rotate_bytes

    def _next_chunk(self) -> tuple[bytes, int]:
        """Framed records of the batch, about a MiB, and how many they are."""
        records: list[bytes] = []
        size = freed = 0
        while size < _CHUNK_BYTES:
            try:
                item, held = self._batch.popleft()
            except IndexError:
                break
            freed += held
            try:
                records.append(framed(self._encode(item)))
                size += len(records[-1])
            except TooLarge:
                self._counts.drop("too_large")
            except Exception:
                self._counts.drop("error")
                logger.exception("a request could not be logged")
        with self._lock:
            self._held -= freed
        return b"".join(records), len(records)

    def _append(self, chunk: bytes, count: int) -> None:
        now = time.monotonic()
        if now < self._retry_at:
            self._counts.drop("disk", count)
            return
        try:
            self._file = self._file or LogFile(self._folder)
            self._file.append(chunk)
        except OSError as error:
            if isinstance(error, MalformedFile) and self._file is not None:
                self._file.abandon()
                self._file = None
            self._failed(error)
            self._counts.drop("disk", count)
            return
        if self._counts.failing:
            logger.warning("%s: requests are logged again", self._folder)
        self._counts.failing, self._retry_s = False, _FIRST_RETRY_S
        self._counts.add(records=count, bytes=len(chunk))

    def _failed(self, error: OSError) -> None:
        self._counts.add(disk_errors=1)
        self._counts.failing = True
        logger.error("%s: no requests are logged: %s", self._folder, error.strerror)
        self._retry_at = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)

    def _finish(self) -> None:
        """Finishes the file, if there is one."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if file.size:
                file.finish()
                self._counts.add(files=1)
            else:  # nothing of it could be written
                file.path.unlink(missing_ok=True)
                file.abandon()
        except OSError as error:
            self._failed(error)
        self._rotated()

    def _tidy(self) -> None:
        """Finishes what dead writers left, this one's own failures included, and deletes what is too old."""
        self._tidied = time.monotonic()
        try:
            for found in recover(self._folder):
                logger.warning(
                    "%s: its writer had died: %d records are kept, %d bytes behind them are not",
                    *(found.path or self._folder, found.records, found.torn),
                )
                self._counts.add(recovered_records=found.records, torn_bytes=found.torn, files=int(bool(found.path)))
            keep_days = self._options.keep_days if self._clock.is_steady() else None
            gone = expire(self._folder, keep_days, self._options.keep_bytes)
            self._counts.add(deleted_files=len(gone))
        except OSError as error:
            self._counts.add(disk_errors=1)
            logger.error("%s: the log cannot be tidied: %s", self._folder, error.strerror)
