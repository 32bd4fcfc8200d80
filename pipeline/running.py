"""Stages of a local run and the lock it holds; no TFX, so that a check or a refusal does not wait for its import."""

import contextlib
import dataclasses
import math
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Protocol

import psutil

from graft.models import durable
from graft.models.errors import GraftError
from graft.pipeline import holder

_SAMPLE_S, _CHILDREN_S = 0.05, 0.5
_THREADS, _THREADS_PER_CORE = 16, 4


class Busy(GraftError):
    """Another run of the same pipeline is under way."""


@dataclasses.dataclass
class StageRun:
    """One stage of a run.

    Attributes:
        name: the component's id.
        seconds: wall time.
        cached: whether an earlier result was taken.
        peak_mb: largest resident memory of this process and its children during the stage, MB (10^6 bytes).
        status: done, failed, closed or interrupted.
        result: a few words on what came out.
    """

    name: str
    seconds: float = 0.0
    cached: bool = False
    peak_mb: float = 0.0
    status: str = "running"
    result: str = ""


class Listener(Protocol):
    """Is told how a run goes; an exception of `stage_done` stops the run."""

    def stage_started(self, stage: StageRun) -> None:
        """`stage` begins."""

    def stage_done(self, stage: StageRun) -> None:
        """`stage` has ended well; its artifacts are in the metadata store."""

    def stage_failing(self, stage: StageRun, error: BaseException) -> None:
        """`stage` raised; it is not cleaned up after yet."""

    def stage_failed(self, stage: StageRun, error: BaseException) -> None:
        """`stage` raised, and is cleaned up after."""


@contextlib.contextmanager
def peak_memory(stage: StageRun) -> Iterator[None]:
    """Samples the resident memory of this process and its children into `stage.peak_mb`.

    To find children is to look at every process of the machine, 2 to 20 ms of a core: that is done less often.
    """
    process = psutil.Process()
    children: list[psutil.Process] = []
    ended = threading.Event()
    looked = -math.inf

    def resident() -> float:
        nonlocal children, looked
        if time.monotonic() - looked >= _CHILDREN_S:
            children, looked = process.children(recursive=True), time.monotonic()
        total = 0
        for one in (process, *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += one.memory_info().rss
        return total / 1e6

    def sample() -> None:
        while not ended.wait(_SAMPLE_S):
            stage.peak_mb = max(stage.peak_mb, resident())

    stage.peak_mb = resident()
    thread = threading.Thread(target=sample, name="peak-memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def require_threads() -> None:
    """Starts as many threads as a stage may need, and ends them: TensorFlow aborts the process where it gets none.

    It keeps a few pools with a thread for each core; gRPC and Beam start some more.

    Raises:
        RuntimeError: they cannot be started (`can't start new thread`).
    """
    ended = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(_THREADS + _THREADS_PER_CORE * len(os.sched_getaffinity(0))):
            thread = threading.Thread(target=ended.wait, name="probe", daemon=True)
            thread.start()
            started.append(thread)
    finally:
        ended.set()
        for thread in started:
            thread.join()


@contextlib.contextmanager
def one_run_at_a_time(
    root: pathlib.Path, wait: bool, waiting: Callable[[str], None]
) -> Iterator[Callable[[str], None]]:
    """Holds the pipeline's lock; it is gone with the process, however that ends.

    Args:
        root: folder of the pipeline.
        wait: whether to wait for the other run's end.
        waiting: told who holds the lock before the wait.

    Yields:
        What notes the id of the run beside the process, for those who ask whether it lives.

    Raises:
        Busy: another run holds it and `wait` is false.
    """
    root.mkdir(parents=True, exist_ok=True)

    def held(file: IO[str]) -> None:
        message = f"{root}: a run of this pipeline is under way ({holder.told(file.read())})"
        if not wait:
            raise Busy(f"{message}; let it end, or use --wait")
        waiting(message)

    with durable.locked(root / holder.LOCK, held) as file:
        holder.note(file)
        yield lambda run: holder.note(file, run)
