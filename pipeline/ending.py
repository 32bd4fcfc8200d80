"""How a run ends: in order where it can, and within a bound where it cannot.

Memory, threads, the disk or a signal may end a run in the middle of native code, where Python gets no turn and
`finally` never comes. So a thread that was started before any of that watches: it hears of signals as the kernel
delivers them, and of failures that are known. Where the orderly end has not come in time it says the last words
(`run.json`, one JSON object, one line) and leaves. The lock of a run goes with the process.
"""

import contextlib
import os
import pathlib
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Protocol

import psutil

from graft.models.text import printable
from graft.pipeline import failures
from graft.pipeline.companion import Companion
from graft.pipeline.result_file import save
from graft.pipeline.strict_json import to_json

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "interrupted"
SIGNAL_S = 5.0
"""Seconds a stage has to stop after a signal, and then the report to be written: `docker stop` waits 10 s in all."""
FAILURE_S = 12.0
"""The same after memory, threads or the disk ran out."""
DIED = (
    "the process was killed, as the kernel does where memory runs out, or aborted by a library that got no memory or "
    "no thread"
)
CHECKPOINTS = "checkpoints"
"""Folder of an unfinished training, in that of the pipeline."""
_AGAIN_S = 1.0
"""From then on another SIGTERM is a second wish; before, it is the first one, sent to a process and to its group."""
_LEAVE_S = 5.0
_RESERVE = 16 << 20

_current: "Ending | None" = None


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end. Like KeyboardInterrupt it passes through `except Exception`."""

    def __init__(self, number: int):
        super().__init__(interrupted_by(number))
        self.number = number


class Result(Protocol):
    """What is known of a run; see `pipeline.result.RunResult`."""

    @property
    def stage(self) -> str:
        """The stage that was begun last, empty before the first."""

    @property
    def finished(self) -> int:
        """How many stages have ended well."""

    def to_json(self) -> dict[str, Any]:
        """JSON types."""


def interrupted_by(number: int, stage: str = "", kept: str = "") -> str:
    """Why a run ended, and what to do.

    Args:
        number: of the signal.
        stage: the one that was under way, empty before the first.
        kept: from `what_is_kept`.
    """
    return (
        f"{f'{stage}: ' if stage else ''}interrupted by {signal.Signals(number).name}; "
        f"{f'kept: {kept}; ' if kept else ''}run the same command again"
    )


def what_is_kept(finished: int, root: pathlib.Path) -> str:
    """What the next run need not do again, in a few words; empty if there is nothing.

    Args:
        finished: stages that have ended well.
        root: folder of the pipeline.
    """
    words = [f"{finished} finished stage{'s' if finished > 1 else ''}"] if finished else []
    with contextlib.suppress(OSError):
        if any((root / CHECKPOINTS).glob("*.npz")):
            words.append("the checkpoint of the training")
    return " and ".join(words)


def exit_code(number: int) -> int:
    """What a shell shows for a process that a signal ended: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number


class Ending:
    """Holds the signals of a command and sees to its end; a context manager, in the main thread.

    Args:
        as_json: whether the last words hold a JSON object for stdout.
        process: whether the process ends with the command. Then it leaves soon after a bad end, whatever threads hang.
    """

    def __init__(self, as_json: bool = False, process: bool = False):
        self._as_json, self._process = as_json, process
        self.number: int | None = None
        self._result: Result | None = None
        self._folder: pathlib.Path | None = None
        self._failure: tuple[str, int] | None = None
        self._deadline: float | None = None
        self._code: int | None = None
        self._raised = self._closing = self._over = False
        self._speaking = threading.Lock()
        self._reserve: bytearray | None = None
        self._writer = -1
        self._companion: Companion | None = None

    def __enter__(self) -> "Ending":
        global _current
        if self._process:
            self._companion = Companion(self._say_for_the_dead)  # before there is a thread
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # What is ignored stays so: `nohup` does it with SIGHUP, a shell with SIGINT for what it runs in the background.
        held = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._handle) for number in held}
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._hook, threading.excepthook = threading.excepthook, self._thread_died
        self._others = {child.pid for child in psutil.Process().children(recursive=True)}
        self._reserve = bytearray(_RESERVE)
        self._thread = threading.Thread(target=self._watch, name="ending", daemon=True)
        self._thread.start()
        _current = self
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        global _current
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.over(exit_code(self.number or signal.SIGINT))
        _current = None
        threading.excepthook = self._hook
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._code and self._process:
            # Other threads, which Python would wait for, may hang.
            self._arm(_LEAVE_S)
            return
        if self._companion is not None:
            self._companion.dismiss()
        os.write(self._writer, b"\0")
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def begin(self, result: Result, folder: pathlib.Path) -> None:
        """A run begins: its result, as far as it has come, goes into the last words.

        Raises:
            Interrupted: a signal came before.
        """
        self._result, self._folder, self._failure, self._closing = result, folder, None, False
        self.go_on()

    def go_on(self) -> None:
        """Between two stages: keeps what is known by now, and sees to a signal whose exception somebody swallowed.

        Raises:
            Interrupted: a signal came.
        """
        if self._companion is not None and self._result is not None:
            self._companion.tell({"folder": str(self._folder), "stage": self._stage, "result": self._result.to_json()})
        if self.number is not None:
            raise Interrupted(self.number)

    def failing(self, reason: str, code: int) -> None:
        """A failure is known that may keep the run from its end; from now on there is a bound."""
        self._reserve = None
        if self._failure is None:
            self._failure = reason, code
            self._arm(FAILURE_S)

    def closing(self) -> None:
        """The stages are over: what follows is written and said. No signal interrupts it, but the bound holds."""
        self._closing = True
        self._reserve = None
        if self._deadline is not None:
            self._arm(SIGNAL_S if self.number is not None else FAILURE_S)

    def ended(self) -> None:
        """The run is over and written, but the command goes on: what comes now is none of the run's.

        Raises:
            Interrupted: a signal came while the run was closing.
        """
        self._result = self._folder = self._failure = self._deadline = None
        self._closing = False
        if self._companion is not None:
            self._companion.tell({"folder": "", "stage": "", "result": {}})
        self.go_on()

    def over(self, code: int) -> None:
        """The command has its result and says it now: the watching thread stays silent from here on.

        Args:
            code: the exit code; 0 and 1 are no bad ends.
        """
        if self._over:  # an interrupt while the result is said changes nothing
            return
        self._speaking.acquire()  # for good: if the last words are under way, so is the end of the process
        self._over = True
        if self._companion is not None:
            self._companion.dismiss()
        self._deadline = None
        if code > 1:
            self._code = code
            self._end_children()

    @property
    def _stage(self) -> str:
        return self._result.stage if self._result is not None else ""

    def _kept(self) -> str:
        if self._result is None or self._folder is None:
            return ""
        return what_is_kept(self._result.finished, self._folder.parents[1])

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number
        if not self._raised and not self._closing:
            self._raised = True
            raise Interrupted(number)

    def _thread_died(self, args: threading.ExceptHookArgs) -> None:
        """Others may wait for ever for a thread that died of want."""
        error = args.exc_value
        if error is not None and failures.kind_of(error) in (failures.MEMORY, failures.THREADS):
            self.failing(*failures.explain(error, self._stage))
        else:
            self._hook(args)

    def _arm(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            os.write(self._writer, b"\xff")  # wakes the thread; no signal has this number

    def _watch(self) -> None:
        first = None
        while True:
            timeout = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            if not select.select([self._reader], [], [], timeout)[0]:
                if self._deadline is not None and time.monotonic() >= self._deadline:
                    self._leave()
                continue
            for number in os.read(self._reader, 4096):
                if number == 0:
                    return
                if number in SIGNALS:
                    self.number = self.number or number
                    if first is None:
                        first = time.monotonic()
                        self._deadline = first + SIGNAL_S
                    elif number == signal.SIGINT or time.monotonic() - first >= _AGAIN_S:
                        self._leave()

    def _leave(self) -> None:
        """The last words, and the end of the process."""
        self._deadline = None
        if self._code is not None and self._process:
            os._exit(self._code)
        if not self._speaking.acquire(blocking=False):
            return
        reason, code = self._failure or ("", 0)
        if self.number is not None:
            reason, code = interrupted_by(self.number, self._stage, self._kept()), exit_code(self.number)
        try:
            value = self._result.to_json() if self._result is not None else {}
            self._say(value, self._folder, INTERRUPTED if self.number else "failed", reason)
            if self._companion is not None:
                self._companion.dismiss()
        finally:
            self._end_children()
            os._exit(code)

    def _say_for_the_dead(self, told: dict[str, Any]) -> None:
        stage = f"{told['stage']}: " if told["stage"] else ""
        folder = pathlib.Path(told["folder"]) if told["folder"] else None
        self._say(told["result"], folder, "failed", f"{stage}{DIED}")

    def _say(self, value: dict[str, Any], folder: pathlib.Path | None, status: str, reason: str) -> None:
        value |= {"status": status, "reason": reason}
        if "ended" in value:
            value["ended"] = time.time()
        for stage in value.get("stages", ()):
            if stage["status"] == "running":
                stage["status"] = status
        if folder is not None:
            with contextlib.suppress(Exception):
                save(value, folder)
        value["error"] = reason
        if self._as_json:
            _write(1, to_json(value))
        if sys.stderr.isatty():
            _write(2, "\x1b[?25h")  # the progress bar had hidden the cursor
        _write(2, f"graft: {printable(reason)}")

    def _end_children(self) -> None:
        """Ends what this process started: servers, workers."""
        with contextlib.suppress(Exception):
            for child in psutil.Process().children(recursive=True):
                if child.pid not in self._others:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()


def _write(descriptor: int, line: str) -> None:
    """Past Python's buffers, whose locks another thread may hold."""
    data = f"{line}\n".encode(errors="backslashreplace")
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def _forget() -> None:
    """A forked child has no watching thread, and its signals are its own: they must not reach the parent's pipe."""
    if _current is not None:
        if _current._companion is not None:
            _current._companion.forget()
        signal.set_wakeup_fd(-1)
        for number, handler in _current._before.items():
            signal.signal(number, handler)


os.register_at_fork(after_in_child=_forget)
