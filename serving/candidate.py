"""Serves one SavedModel for a check: by tensorflow_model_server where that is on the PATH, else in this process."""

import contextlib
import dataclasses
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from graft.models.errors import GraftError
from graft.serving.client import Client, ClientError
from graft.serving.launch import BINARY

_START_S = 120.0


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A running server: `grpc_address`, and what it is (`tensorflow_model_server` or `embedded server`)."""

    grpc_address: str
    kind: str


@contextlib.contextmanager
def candidate_server(model: str, saved_model: str | pathlib.Path, trusted: bool = False) -> Iterator[Candidate]:
    """Serves the SavedModel in folder `saved_model` under the name `model` on a free loopback port.

    Args:
        model: its name.
        saved_model: its folder.
        trusted: whether it may do more than compute. The real server does not ask.

    Raises:
        GraftError: the server does not come up; its last words are in the message.
    """
    binary = shutil.which(BINARY)
    if binary is None:
        # Imported here: the real server needs no TensorFlow in this process.
        from graft.serving.server import EmbeddedServer

        with EmbeddedServer(models={model: saved_model}, rest_port=None, trusted=[model] if trusted else []) as server:
            yield Candidate(server.grpc_address, "embedded server")
        return
    with tempfile.TemporaryDirectory(prefix="graft-candidate-") as folder:
        (pathlib.Path(folder) / "1").symlink_to(pathlib.Path(saved_model).absolute(), target_is_directory=True)
        log = pathlib.Path(folder, "log")
        port = _free_port()
        command = [binary, f"--port={port}", f"--model_name={model}", f"--model_base_path={folder}"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(f"127.0.0.1:{port}", model, process, log)
            yield Candidate(f"127.0.0.1:{port}", BINARY)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(address: str, model: str, process: subprocess.Popen, log: pathlib.Path) -> None:
    end = time.monotonic() + _START_S
    with Client(address, model, deadline_s=1.0, retries=0) as client:
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(ClientError):
                if any(version["state"] == "AVAILABLE" for version in client.status()):
                    return
            time.sleep(0.2)
    words = log.read_text(errors="replace").strip().splitlines()[-3:]
    raise GraftError(f"{BINARY} does not serve {model} at {address} (exit {process.poll()}): {' | '.join(words)}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
