"""Threads for predictions, shared by gRPC and REST, with a bound on what may wait for them."""

import concurrent.futures
import os
import threading

import grpc

from graft.serving.status import ServingError

_WAITING_PER_THREAD = 31


class PredictionPool(concurrent.futures.ThreadPoolExecutor):
    """An executor that takes no more than so many calls; transports may ask before they submit.

    Status, metadata and health have threads of their own, so they never queue behind predictions.

    Args:
        threads: predictions worked on at once; four a core if None.
        max_calls: predictions worked on or waiting at once; 32 a thread if None.
    """

    def __init__(self, threads: int | None = None, max_calls: int | None = None):
        threads = threads or 4 * (os.cpu_count() or 1)
        super().__init__(threads, thread_name_prefix="predict")
        self.max_calls = max_calls or (1 + _WAITING_PER_THREAD) * threads
        self._calls = self._running = 0
        self._counting = threading.Lock()

    @property
    def running(self) -> int:
        """Predictions that are worked on."""
        return self._running

    @property
    def waiting(self) -> int:
        """Predictions that wait for a thread."""
        with self._counting:
            return self._calls - self._running

    @property
    def full(self) -> bool:
        """Whether another call is to be refused."""
        with self._counting:
            return self._calls >= self.max_calls

    def refusal(self) -> ServingError:
        """What a refused call is told."""
        return ServingError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{self.max_calls} predictions are running or waiting, which is the most that this server takes",
            refusal="queue_full",
        )

    def submit(self, fn, /, *args, **kwargs) -> concurrent.futures.Future:
        """As the executor's own. Raises ServingError if it is full."""
        with self._counting:
            if self._calls >= self.max_calls:
                raise self.refusal()
            self._calls += 1
        try:
            future = super().submit(self._run, fn, *args, **kwargs)
        except BaseException:
            self._ended(None)
            raise
        future.add_done_callback(self._ended)
        return future

    def _run(self, fn, /, *args, **kwargs):
        with self._counting:
            self._running += 1
        try:
            return fn(*args, **kwargs)
        finally:
            with self._counting:
                self._running -= 1

    def _ended(self, _) -> None:
        with self._counting:
            self._calls -= 1
