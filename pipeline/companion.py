"""A small process beside a run that says the last words for it, where the run dies without any.

The kernel kills a process that takes too much memory, and TensorFlow aborts one that gets no thread. Nothing in the
process itself can answer that. Its exit code stays what the signal makes it: 137 for SIGKILL, 134 for SIGABRT.
"""

import contextlib
import json
import os
import signal
from collections.abc import Callable
from typing import Any

_OVER = b"over"


class Companion:
    """Forked at once, while the process is small and has no other thread; it ends with the process.

    Args:
        say: called in the companion with the last thing told, as JSON types, if the process dies.
    """

    def __init__(self, say: Callable[[Any], None]):
        reader, self._writer = os.pipe()
        child = os.fork()
        if child == 0:
            # Forked twice, so that it is no child of the process: its memory is not counted, and it is not waited for.
            if os.fork() == 0:
                os.close(self._writer)
                _follow(reader, say)
            os._exit(0)
        os.close(reader)
        os.waitpid(child, 0)

    def tell(self, value: Any) -> None:
        """What is known by now; replaces what was told before."""
        self._send(json.dumps(value).encode())

    def dismiss(self) -> None:
        """The process has said its last words, or will."""
        self._send(_OVER)
        self.forget()

    def forget(self) -> None:
        """In a forked worker, which must not seem to be the run."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(OSError):  # it was killed: there are no last words then
            line += b"\n"
            while line:
                line = line[os.write(self._writer, line) :]


def _follow(reader: int, say: Callable[[Any], None]) -> None:
    """Reads until the process is gone; never returns."""
    try:
        os.setsid()  # a terminal's signals are for the run
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        os.chdir("/")
        last = b""
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                last = line
        if last.strip() not in (b"", _OVER) and last.endswith(b"\n"):
            say(json.loads(last))
    finally:
        os._exit(0)
