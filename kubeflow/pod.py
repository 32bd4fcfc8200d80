"""What each process in a pod does: says why it failed where Kubernetes looks for it, and ends when its node goes."""

import contextlib
import json
import logging
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graft.models import deferred
from graft.models.durable import write_atomic

TERMINATION_LOG = "GRAFT_TERMINATION_LOG"
"""Environment variable: the file that is shown as the pod's message, by default Kubernetes' own."""

_DEFAULT_LOG = "/dev/termination-log"
_LONGEST = 4096
"""Bytes that Kubernetes keeps of it."""

_last_words: list[Callable[[], None]] = []


def run(work: Callable[[], None], name: str) -> int:
    """Does the work of a container; returns the exit code.

    An error is one line, on standard error and in the termination log that Kubernetes shows as the pod's message, and
    an exit code other than 0. SIGTERM, which a node sends before it goes, ends the process at once, with 143: the
    launcher gives its child about a second.

    Args:
        work: what to do.
        name: of the stage, for the line.
    """
    deferred.own_process()
    signal.signal(signal.SIGTERM, _ended)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    try:
        work()
    except Exception as error:
        from graft.pipeline import failures

        logging.getLogger(__name__).info("%s failed", name, exc_info=error)
        line, code = failures.explain(error, name)
        _tell(line)
        return code
    return 0


@contextlib.contextmanager
def ending(last: Callable[[], None]) -> Iterator[None]:
    """Within it, SIGTERM calls `last` before it ends the process; it has less than a second."""
    _last_words.append(last)
    try:
        yield
    finally:
        _last_words.remove(last)


def write_output(path: str, value: Mapping[str, Any]) -> None:
    """Writes the `ExecutorOutput`, what the launcher is to know of the outputs."""
    place = pathlib.Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(place, json.dumps(value).encode())


def _ended(number: int, frame: Any) -> None:
    _tell("ended by SIGTERM; tried again, a training goes on from its checkpoint")
    try:
        for last in _last_words:
            last()
    finally:
        os._exit(128 + number)


def _tell(line: str) -> None:
    """Says what went wrong where it is looked for; a pod without a termination log has standard error."""
    sys.stderr.write(f"graft: {line}\n")
    path = pathlib.Path(os.environ.get(TERMINATION_LOG, _DEFAULT_LOG))
    try:
        if path.parent.is_dir() and (path.exists() or path != pathlib.Path(_DEFAULT_LOG)):
            path.write_bytes(line.encode()[:_LONGEST])
    except OSError as error:
        sys.stderr.write(f"graft: {path}: {error.strerror}\n")
