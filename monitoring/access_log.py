"""The access log: a line of JSON for each request, of whatever method and however it ended.

    graft serve STORE --access-log FILE

A thread writes; requests leave a reference behind and wait for nothing. What finds no room, in memory or on the disk,
is dropped and counted. The file is rotated by its size, and opened anew where another program has moved it.
"""

import collections
import datetime
import json
import logging
import os
import pathlib
import re
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

from graft.models.errors import GraftError
from graft.models.regular_file import open_regular
from graft.monitoring import exposition
from graft.monitoring.exposition import head, line
from graft.serving import log_rate
from graft.serving.exchange import Exchange
from graft.serving.observers import Observer, Page

STDOUT = "-"
MOST_LINES = 20_000
"""Lines that may wait to be written."""
_PAUSE_S = 0.2
_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 30.0
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

Reason = Literal["queue_full", "disk", "error", "closed"]

logger = logging.getLogger(__name__)
logger.addFilter(log_rate.RepeatFilter())


def record(exchange: Exchange) -> dict[str, Any]:
    """What the line says; times in UTC, milliseconds with the waits included."""
    began = datetime.datetime.fromtimestamp(exchange.wall_time, datetime.UTC)
    value: dict[str, Any] = {
        "time": began.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": exchange.request_id,
        "transport": exchange.transport,
        "method": exchange.method,
        "model": exchange.model,
        "version": exchange.version,
        "code": exchange.code.name,
        "milliseconds": round(exchange.seconds * 1e3, 3),
        "received_bytes": exchange.received_bytes,
        "sent_bytes": exchange.sent_bytes,
    }
    if exchange.http_status is not None:
        value["http_status"] = exchange.http_status
    if exchange.queued is not None and exchange.started is not None:
        value["queue_milliseconds"] = round((exchange.started - exchange.queued) * 1e3, 3)
    if exchange.refusal is not None:
        value["refusal"] = exchange.refusal
    if trace := _TRACEPARENT.fullmatch(exchange.traceparent or ""):
        value["trace_id"] = trace[1]
    return value


class AccessLog(Observer):
    """Writes a line for each request.

    Args:
        place: a file, or `-` for the standard output.
        max_bytes: a file of this size is renamed to `FILE.1`, that to `FILE.2` and so on.
        keep: renamed files that are kept.

    Raises:
        GraftError: it cannot be written to.
    """

    def __init__(self, place: str, max_bytes: int = 100 << 20, keep: int = 5):
        self._path = None if place == STDOUT else pathlib.Path(place)
        self.reopens = self._path is not None
        self._max_bytes, self._keep = max_bytes, keep
        self._queue: collections.deque[Exchange] = collections.deque()
        self._lock = threading.Lock()
        self._lines = 0
        self._dropped: dict[Reason, int] = dict.fromkeys(get_args(Reason), 0)
        self._failing = False
        self._reopen = False
        self._retry_at, self._retry_s = 0.0, _FIRST_RETRY_S
        self._descriptor = -1
        try:
            self._open()
        except OSError as error:
            raise GraftError(
                f"--access-log: {place}: {error.strerror}; it must be a file that can be written"
            ) from error
        self._wake, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def observe(self, served) -> None:
        """Nothing: `ended` tells of every request."""

    def ended(self, exchange: Exchange) -> None:
        """Takes the request, if there is room."""
        if self._closing:
            self._drop("closed")
        elif len(self._queue) >= MOST_LINES:
            self._drop("queue_full")
        else:
            self._queue.append(exchange)

    def reopen(self) -> None:
        """The file is opened anew before the next line."""
        self._reopen = True

    def pages(self) -> Mapping[str, Page]:
        """Its series on the page for Prometheus."""
        return exposition.page(self.text, needed=False)

    def text(self) -> str:
        """All series in the text format."""
        with self._lock:
            lines, dropped = self._lines, list(self._dropped.items())
        name = "graft_access_log_dropped_total"
        return "\n".join(
            [
                *head("graft_access_log_lines_total", "counter", "Lines that were written."),
                line("graft_access_log_lines_total", (), lines),
                *head(name, "counter", "Requests that have no line."),
                *(line(name, [("reason", reason)], count) for reason, count in dropped),
                *head("graft_access_log_failing", "gauge", "Whether the last attempt to write failed."),
                line("graft_access_log_failing", (), int(self._failing)),
                "",
            ]
        )

    def close(self, wait_s: float = 10.0) -> None:
        """Writes what waits."""
        self._closing = True
        self._wake.set()
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._drop("closed", len(self._queue))
            self._queue.clear()
            logger.error("the access log does not take what is written: its last lines are lost")
        elif self._path is not None and self._descriptor >= 0:
            os.close(self._descriptor)

    def _drop(self, reason: Reason, count: int = 1) -> None:
        with self._lock:
            self._dropped[reason] += count

    def _run(self) -> None:
        ending = False
        while not ending:
            self._wake.wait(_PAUSE_S)
            ending = self._closing
            waiting = len(self._queue)
            taken = [self._queue.popleft() for _ in range(waiting)]
            try:
                if taken or self._reopen:
                    self._write(b"".join(json.dumps(record(one)).encode() + b"\n" for one in taken), len(taken))
            except Exception:  # the thread must outlive any fault: without it, all that comes would be dropped
                self._drop("error", len(taken))
                logger.exception("the access log failed")

    def _write(self, content: bytes, count: int) -> None:
        if time.monotonic() < self._retry_at:
            self._drop("disk", count)
            return
        try:
            self._make_ready(len(content))
            self._append(content)
        except OSError as error:
            self._drop("disk", count)
            self._failing = True
            self._retry_at = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, _LONGEST_RETRY_S)
            logger.error("%s: no access log is written: %s", self._path or "standard output", error.strerror)
            return
        self._failing, self._retry_s = False, _FIRST_RETRY_S
        with self._lock:
            self._lines += count

    def _make_ready(self, more: int) -> None:
        """Sees to it that the open file is the one of that name, and that it has room. Raises OSError."""
        if self._path is None:
            return
        if self._reopen or self._descriptor < 0 or self._is_moved(self._path):
            self._reopen = False
            self._open()
        size = os.fstat(self._descriptor).st_size
        if size and size + more > self._max_bytes:
            for number in range(self._keep, 0, -1):
                older = self._path if number == 1 else self._named(number - 1)
                if older.exists():
                    older.replace(self._named(number))
            self._open()

    def _named(self, number: int) -> pathlib.Path:
        assert self._path is not None
        return self._path.with_name(f"{self._path.name}.{number}")

    def _is_moved(self, path: pathlib.Path) -> bool:
        try:
            there = path.stat()
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(self._descriptor))

    def _open(self) -> None:
        if self._path is None:
            self._descriptor = 1
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe is not waited for
        opened = os.open(self._path, flags, 0o640)
        try:
            open_regular(self._path).close()
        except OSError:
            os.close(opened)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = opened

    def _append(self, content: bytes) -> None:
        """Raises OSError: none of it is in the file now, if that could be brought about."""
        size = os.fstat(self._descriptor).st_size
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            if self._path is not None:
                os.ftruncate(self._descriptor, size)
            raise
