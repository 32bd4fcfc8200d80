"""Keeps what native libraries log out of what a command says.

TensorFlow's C++ writes to descriptor 2 by a logger of Abseil that no variable of the environment and nothing in Python
silences before it is set up (`W0000 00:00:... op_level_cost_estimator.cc`). A small process reads that descriptor,
leaves out what is information or a warning, and hands on all else: errors, the last words of an abort. It ends with the
last process that has the descriptor. What Python writes goes past it.
"""

import os
import re
import signal
import sys

_CHATTER = re.compile(rb"[IW]\d{4} \d\d:\d\d:[\d.]+ +\d+ |WARNING: All log messages before absl::InitializeLog")


def leave_out_chatter() -> None:
    """From now on for this process and those that it starts; call it before there are threads."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Forked twice, so that it is no child of the process, which kills and counts its children.
        if os.fork() == 0:
            os.close(writer)
            _follow(reader)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(reader)
    sys.stderr.flush()
    direct = os.dup(2)
    os.dup2(writer, 2)
    os.close(writer)
    sys.stderr = os.fdopen(direct, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")


def _follow(reader: int) -> None:
    """Reads until nobody can write any more; never returns."""
    try:
        os.setsid()  # a terminal's signals are for the command
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.chdir("/")
        with open(os.devnull, "rb+", buffering=0) as nothing:  # noqa: PTH123 - who waits for the end of stdout must not wait for this
            os.dup2(nothing.fileno(), 0)
            os.dup2(nothing.fileno(), 1)
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                if not _CHATTER.match(line):
                    os.write(2, line)
    finally:
        os._exit(0)
