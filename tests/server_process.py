"""The embedded server as a process of its own, to be attacked and measured. Run as a program, it is that process."""

import dataclasses
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from small_models import save_images, save_linear


class ServerProcess:
    """A running server; a context manager.

    Args:
        log: file for what it logs.
        limits: fields of `serving.limits.Limits` that are not the default.
        options: arguments of `EmbeddedServer`.

    Attributes:
        grpc: "host:port".
        rest: (host, port).
    """

    def __init__(self, log: pathlib.Path, *, limits: dict[str, Any] | None = None, **options: Any):
        self.log = log
        settings = json.dumps({"limits": limits or {}, "options": options}, default=str)
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, __file__, settings],
                stdin=subprocess.PIPE,  # its end tells the server that nobody is left to stop it
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        assert self._process.stdout is not None
        addresses = self._process.stdout.readline()
        if not addresses:
            raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
        found = json.loads(addresses)
        self.grpc: str = found["grpc"]
        rest = urllib.parse.urlsplit(found["rest"])
        self.rest = (rest.hostname or "", rest.port or 0)

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def usage(self) -> "Usage":
        """What the process takes now."""
        folder = pathlib.Path("/proc", str(self._process.pid))
        pages = int((folder / "statm").read_text().split()[1])
        threads = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("Threads:"))
        return Usage(
            memory=pages * os.sysconf("SC_PAGE_SIZE"),
            files=sum(1 for _ in (folder / "fd").iterdir()),
            threads=int(threads.split()[1]),
        )

    def allow_files(self, count: int) -> int:
        """Lets the process open no more than `count` files from now on; returns how many it could before."""
        before, most = resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (count, most))
        return before

    def stop(self) -> int:
        """Ends the process as an operator would; its exit status."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "ServerProcess":
        return self

    def __exit__(self, *_) -> None:
        self.stop()


@dataclasses.dataclass(frozen=True)
class Usage:
    """Resident bytes, open files and threads of a process."""

    memory: int
    files: int
    threads: int


SHORT = {
    **{"idle_s": 2.0, "header_s": 2.0, "body_s": 4.0, "stall_s": 2.0},
    **{"connections": 60, "receiving": 8, "announced": {"pixels": 1 << 20}},
}
"""Limits of `attacked`."""
PATIENCE_S, KEPT_FILES = 60.0, 2


def settle(server: ServerProcess, files: int) -> None:
    """Waits until the server has given its connections back; some files it opens at their first use and keeps."""
    end = time.monotonic() + PATIENCE_S
    while (found := server.usage().files) > files + KEPT_FILES:
        assert time.monotonic() < end, f"{found} files are still open, not {files}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def attacked(tmp_path_factory) -> Iterator[ServerProcess]:
    """A server with short limits and two models, "m" and "images"; it must stay sound whatever a test does to it."""
    root = tmp_path_factory.mktemp("attacked")
    models = {"m": save_linear(root / "m" / "1", 0.5, 2.0), "images": save_images(root / "images" / "1")}
    with ServerProcess(root / "log", models=models, limits=SHORT, threads=2, grpc_timeout_s=5) as running:
        yield running


def main(settings: dict[str, Any]) -> None:
    """Serves until SIGTERM, or until the process that started it is gone."""
    import logging

    from graft.serving.limits import Limits
    from graft.serving.server import EmbeddedServer

    logging.basicConfig(level=logging.INFO)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = EmbeddedServer(limits=Limits(**settings["limits"]), **settings["options"])
    server.start()
    print(json.dumps({"grpc": server.grpc_address, "rest": server.rest_address}), flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    ended.wait()
    server.stop(5)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
