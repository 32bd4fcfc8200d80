"""The workers of a training as processes of this machine, which `graft kubeflow run-local` has in place of a job."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time

from graft.kubeflow import pod
from graft.kubeflow.job_folder import JobFolder
from graft.kubeflow.worker import TF_CONFIG

LOCAL = "GRAFT_LOCAL_WORKERS"
"""Environment variable: set where there is no cluster."""

_PATIENCE_S = 60
"""For the others to notice that one is gone; TensorFlow's coordination service takes 10 s."""

log = logging.getLogger(__name__)


class LocalJob:
    """As many processes, which reach each other by gRPC on loopback; where one fails, all are started anew.

    Args:
        folder: what they work on.
        count: how many.
        retries: how often all are started anew.
    """

    def __init__(self, folder: JobFolder, count: int, retries: int):
        self._folder, self._count, self._left = folder, count, retries
        self._processes: list[subprocess.Popen] = []
        self._lost: float | None = None

    @property
    def pids(self) -> list[int]:
        """Of the processes, by the workers' numbers."""
        return [process.pid for process in self._processes]

    def start(self) -> None:
        """Starts them."""
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(self._count)]
        self._lost = None
        self._processes = []
        for index in range(self._count):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            # Of the one pod there is here, the message is the task's.
            own = {TF_CONFIG: json.dumps(config), pod.TERMINATION_LOG: os.devnull}
            command = [sys.executable, "-m", "graft.kubeflow.worker", str(self._folder.path)]
            self._processes.append(subprocess.Popen(command, env={**os.environ, **own}, stdin=subprocess.DEVNULL))

    def failure(self) -> str | None:
        """Looks at them, and starts all anew where one has failed; see `workers.Job`."""
        codes = [process.poll() for process in self._processes]
        bad = {index: code for index, code in enumerate(codes) if code}
        if not bad:
            return "" if all(code == 0 for code in codes) else None
        self._lost = self._lost or time.monotonic()
        if None in codes and time.monotonic() - self._lost < _PATIENCE_S and not self._folder.failure:
            return None
        told = ", ".join(f"worker {index} ended with {code}" for index, code in bad.items())
        self.end()
        if self._folder.done or self._folder.failure or not self._left:
            return told
        self._left -= 1
        log.warning("%s; all are started again", told)
        self.start()
        return None

    def end(self, wait: bool = True) -> None:
        """Kills those that run."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()


def _free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now; another program may take one before it is used."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
