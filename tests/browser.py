"""A headless Chromium, spoken to by its DevTools protocol over two pipes."""

import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_LIMIT_S = 60.0


def executable() -> str | None:
    """The browser of this machine, None without one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of a browser.

    Attributes:
        requests: addresses that the page asked for since it was opened.
        complaints: what the browser wrote to its console: rules that were broken, files that are missing.
    """

    def __init__(self, reader: int, writer: int):
        self._reader, self._writer, self._rest, self._count = reader, writer, b"", 0
        self._session: str | None = None
        self._seen: set[str] = set()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._count += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._count, "method": method, "params": parameters, **session}
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, address: str, width: int, height: int = 900, scheme: str = "light") -> None:
        """Opens a page and waits until it is there with all that belongs to it."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.requests.clear()
        self.complaints.clear()
        self._seen.clear()
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self._seen:
            self._next()

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _LIMIT_S
        while b"\0" not in self._rest:
            assert select.select([self._reader], [], [], end - time.monotonic())[0], "the browser does not answer"
            piece = os.read(self._reader, 1 << 16)
            assert piece, "the browser has gone"
            self._rest += piece
        content, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(content)
        method, parameters = message.get("method", ""), message.get("params", {})
        self._seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif method in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"):
            self.complaints.append(method)
        return message


@contextlib.contextmanager
def browser(profile: pathlib.Path) -> Iterator[Browser]:
    """A browser that ends with the block. Args: profile: a new folder for what it keeps."""
    in_read, in_write = os.pipe()
    out_read, out_write = os.pipe()
    theirs = [fcntl.fcntl(in_read, fcntl.F_DUPFD, 10), fcntl.fcntl(out_write, fcntl.F_DUPFD, 10)]
    os.close(in_read)
    os.close(out_write)

    def give() -> None:  # the browser reads its descriptor 3 and writes to 4
        os.dup2(theirs[0], 3)
        os.dup2(theirs[1], 4)

    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
    quiet = ("--no-first-run", "--disable-background-networking", "--disable-extensions")
    run = [executable(), *flags, *quiet, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        run, preexec_fn=give, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for descriptor in theirs:
        os.close(descriptor)
    try:
        yield Browser(out_read, in_write)
    finally:
        os.close(in_write)
        os.close(out_read)
        process.terminate()
        process.wait(30)
