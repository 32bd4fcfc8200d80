"""Native code on bytes that nobody has checked runs in a process of its own, with a limit of memory and of time.

A library that believes a size in a file takes gigabytes, and a defect of it ends the process. Here it is a worker that
ends; who asked is told why, and asks the next one. Workers live on between requests: a start costs half a second.
"""

import contextlib
import math
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, TypeVar, cast

from graft.models.errors import GraftError

MEMORY = 2**31
"""Bytes that a worker may take beyond its imports."""

CPU_SECONDS = 60
"""Seconds of CPU that a worker may take between two results."""

_IDLE_SECONDS = 30
_SIZE = struct.Struct("<Q")
_Result = TypeVar("_Result")


class DiedError(Exception):
    """The worker ended before it was done; the message says of what."""


def stream(function: Callable[..., Iterator[_Result]], *arguments: Any) -> Iterator[_Result]:
    """What `function(*arguments)` yields, run in a worker.

    Args:
      function: A generator at the top of a module; that module should not import TensorFlow, which takes seconds.
      *arguments: Picklable, as is what it yields.

    Raises:
      DiedError: The worker took too much memory or time, or crashed. What came before was yielded.
      GraftError: The function raised it.
      RuntimeError: The function raised something else, which is a defect of ours.
    """
    worker = _take(pickle.dumps((function, arguments, MEMORY, CPU_SECONDS)))
    try:
        while (answer := worker.receive())[0] == "result":
            yield answer[1]
    except BaseException:  # a crash, or nobody wants the rest
        worker.end()
        raise
    kind, content = answer
    if kind == "memory":
        worker.end()  # a process that ran out of memory is not asked again
        raise DiedError(f"reading it takes more than {MEMORY // 2**20} MiB of memory")
    _idle.put(worker)
    if kind == "error":
        raise GraftError(content)
    if kind == "fault":
        raise RuntimeError(f"in a worker:\n{content}")


class _Worker:
    """A process that answers one request at a time."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "graft.components.ingest.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            # Of Arrow's allocators this one fails where memory ends, the others end the process.
            env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
        self._requests, self._answers = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def send(self, request: bytes) -> None:
        """Raises BrokenPipeError where it has ended, being idle too long."""
        _send(self._requests, request)

    def receive(self) -> tuple[str, Any]:
        try:
            return pickle.loads(_receive(self._answers))
        except EOFError:
            raise DiedError(self._reason(self._process.wait())) from None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._requests, self._answers, self._said):
            with contextlib.suppress(BrokenPipeError):  # what was not sent yet
                file.close()

    def _reason(self, code: int) -> str:
        if code == -signal.SIGXCPU:
            return f"reading it takes more than {CPU_SECONDS} s of CPU time"
        self._said.seek(0)
        lines = self._said.read()[-1000:].decode("utf-8", "replace").split("\n")
        last = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
        ended = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"its reader ended {ended}" + (f": {last[:200]}" if last else "")


_idle: SimpleQueue[_Worker] = SimpleQueue()


def _take(request: bytes) -> _Worker:
    """An idle worker, or a new one, with the request sent."""
    while True:
        try:
            worker = _idle.get_nowait()
        except Empty:
            worker = _Worker()
            worker.send(request)
            return worker
        try:
            worker.send(request)
            return worker
        except BrokenPipeError:
            worker.end()


def _send(pipe: BinaryIO, content: bytes) -> None:
    pipe.write(_SIZE.pack(len(content)) + content)
    pipe.flush()


def _receive(pipe: BinaryIO) -> bytes:
    head = pipe.read(_SIZE.size)
    (size,) = _SIZE.unpack(head) if len(head) == _SIZE.size else (0,)
    content = pipe.read(size)
    if not content or len(content) < size:
        raise EOFError
    return content


def _serve() -> None:
    """Answers requests on stdin until it closes or none comes for a while."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; who asked decides what it means
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    # One request at a time, so that none waits in the buffer.
    while select.select([requests], [], [], _IDLE_SECONDS)[0]:
        try:
            request = _receive(requests)
        except EOFError:
            return
        _answer(request, answers)


def _answer(request: bytes, answers: BinaryIO) -> None:
    try:
        function, arguments, memory, seconds = pickle.loads(request)  # imports what the function needs
        _limit(resource.RLIMIT_DATA, _data_bytes() + memory)
        _limit(resource.RLIMIT_CPU, _cpu_seconds() + seconds)
        for result in function(*arguments):
            _limit(resource.RLIMIT_CPU, _cpu_seconds() + seconds)
            _send(answers, pickle.dumps(("result", result), pickle.HIGHEST_PROTOCOL))
        answer: tuple[str, str | None] = ("end", None)
    except GraftError as error:
        answer = ("error", str(error))
    except MemoryError:
        answer = ("memory", None)
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)
    except Exception:
        answer = ("fault", traceback.format_exc())
    _send(answers, pickle.dumps(answer))


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _cpu_seconds() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return math.ceil(used.ru_utime + used.ru_stime)


def _data_bytes() -> int:
    """What RLIMIT_DATA counts: private memory that may be written, bytes."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


if __name__ == "__main__":
    _serve()
