"""A real MLflow server on loopback, SQLite and a folder behind it, as a process of its own."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from waiting import until


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class MlflowServer:
    """A running server; a context manager. Its processes are one group, which ends with it."""

    def __init__(self, folder: pathlib.Path):
        self._log = folder / "server.log"
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            "1",
        ]
        command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
        command += ["--artifacts-destination", str(folder / "artifacts")]
        settings = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        # A checkout on the path would put its own modules before those of the server.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env=kept | settings, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> "MlflowServer":
        try:
            until(self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the MLflow server did not start: {self._log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory) -> Iterator[MlflowServer]:
    """One for all tests of a process; each takes an experiment of its own."""
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server
