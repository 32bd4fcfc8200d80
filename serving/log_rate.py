"""Keeps a client from filling the log: what would be logged for every bad request is logged some times a minute."""

import logging
import threading
import time

LINES = 10
PERIOD_S = 60.0
NOISY = (
    "asyncio",
    "grpc",
    "grpc._cython.cygrpc",
    "grpc._server",
    "graft.serving.connections",
    "graft.serving.observers",
    "graft.serving.rest",
    "uvicorn.error",
)
"""Loggers that write a line for what a client did, or for each request."""


class RepeatFilter(logging.Filter):
    """Lets `lines` records of one format string pass in `period_s` seconds; the next that passes counts the others."""

    def __init__(self, lines: int = LINES, period_s: float = PERIOD_S):
        super().__init__()
        self._lines, self._period_s = lines, period_s
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int, str], list[float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is written; see `logging.Filter`."""
        # The place and not the text tells lines apart: a text may hold what a client sent.
        key = (record.name, record.lineno, record.pathname)
        now = time.monotonic()
        with self._lock:
            start, passed, dropped = self._seen.setdefault(key, [now, 0, 0])
            if now - start >= self._period_s:
                start, passed = now, 0
            allowed = passed < self._lines
            self._seen[key] = [start, passed + 1, 0 if allowed else dropped + 1]
        if allowed and dropped:
            record.msg = f"{record.getMessage()} ({dropped:.0f} more lines like this one were left out)"
            record.args = ()
        return allowed


_FILTER = RepeatFilter()


def install() -> None:
    """Puts one filter on the loggers of `NOISY`; a second time does nothing."""
    for name in NOISY:
        logging.getLogger(name).addFilter(_FILTER)
