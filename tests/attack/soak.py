"""Mixed requests to a served store, right and wrong, while versions are pushed and rolled back.

    python tests/attack/soak.py --minutes 10 --seed 0

Prints how many right requests were sent and failed (0), and memory, files and threads of the server at the start and at
the end. Exit code 1 if a right request failed, if the versions did not change, or if something grew and stayed.
"""

import argparse
import collections
import contextlib
import http.client
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "attack")]

import numpy as np  # noqa: E402
from fuzz_requests import Fuzz, leaks, models, usage_after  # noqa: E402
from server_process import ServerProcess, Usage  # noqa: E402
from small_models import save_linear  # noqa: E402

from graft.serving.client import Client, ClientError  # noqa: E402
from graft.serving.store import open_store  # noqa: E402

OFFSETS = (2.0, 5.0, 11.0)
"""What the versions of the model add: which of them answered shows in the answer."""
_RIGHT_CLIENTS = 2
_LIMITS = {"idle_s": 5.0, "header_s": 2.0, "stall_s": 2.0}
_PATIENCE_S = 60.0
# At most so many requests a second and client: a soak looks for what grows, not for how fast it goes.
_PAUSE_S = 0.005


class Right:
    """Right requests by both ways, one after the other, until told to end.

    Attributes:
        sent: how many.
        failures: what went wrong.
        offsets: how often each version answered.
    """

    def __init__(self, server: ServerProcess):
        self.sent = 0
        self.failures: list[str] = []
        self.offsets: collections.Counter[float] = collections.Counter()
        self._server = server
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(_RIGHT_CLIENTS)]

    def __enter__(self) -> "Right":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        rest = http.client.HTTPConnection(*self._server.rest, timeout=_PATIENCE_S)
        with Client(self._server.grpc, "m", deadline_s=_PATIENCE_S, retries=0) as client, contextlib.closing(rest):
            while not self._ending.wait(_PAUSE_S):
                for ask in (lambda: self._by_grpc(client), lambda: self._by_rest(rest)):
                    try:
                        found = ask()
                    except (ClientError, OSError, http.client.HTTPException, KeyError) as error:
                        found = repr(error)
                        rest.close()
                    with self._lock:
                        self.sent += 1
                        if found in OFFSETS:
                            self.offsets[found] += 1
                        else:
                            self.failures.append(str(found))

    def _by_grpc(self, client: Client) -> float:
        return float(client.predict({"x": np.float32([0.0])})["y"][0])

    def _by_rest(self, rest: http.client.HTTPConnection) -> float:
        rest.request("POST", "/v1/models/m:predict", b'{"inputs": [0.0]}')
        response = rest.getresponse()
        content = json.loads(response.read())
        return float(content["outputs"][0]) if response.status == 200 else content["error"]


def soak(seconds: float, seed: int, out=print) -> int:
    """Runs it all; the exit code."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = pathlib.Path(folder)
        exports = [save_linear(root / f"export{number}", 0.5, offset) for number, offset in enumerate(OFFSETS)]
        store = open_store(root / "store")
        for name, path in models(root / "models").items():
            store.push(name, path, {})
        server = stack.enter_context(
            ServerProcess(root / "log", store=store.path, limits=_LIMITS, poll_s=0.2, drain_s=10.0)
        )
        moves = 0
        right = Right(server)
        # Until every version was loaded once and every kind of request sent, a server only grows.
        begun = time.monotonic()
        start: Usage | None = None
        wrong = threading.Thread(target=_wrong, args=(server, begun + seconds, seed))
        with right:
            wrong.start()
            while time.monotonic() < begun + seconds and server.alive:
                time.sleep(min(2.0, seconds / 20) * chance.uniform(0.5, 1.5))
                move = chance.choice(["push", "push", "rollback", "pin"])
                if move == "push":
                    store.unpin("m")
                    store.push("m", chance.choice(exports), {})
                else:
                    versions = store.versions("m")
                    (store.rollback if move == "rollback" else store.pin)("m", chance.choice(versions))
                moves += 1
                if start is None and time.monotonic() > begun + seconds / 5:
                    start = server.usage()
            wrong.join()
        if not server.alive or start is None:
            out("FAULT: the server has ended")
            return 1
        end = usage_after(server, start)
        found = leaks(start, end)
    out(f"{right.sent} right requests, {len(right.failures)} failed; {moves} changes of the version, seed {seed}")
    out("answers by version: " + ", ".join(f"+{offset:g}: {right.offsets[offset]}" for offset in OFFSETS))
    for name, usage in (("start", start), ("end", end)):
        out(f"server at the {name}: {usage.memory / 2**20:.0f} MiB, {usage.files} files, {usage.threads} threads")
    faults = [*found, *right.failures[:5]]
    faults += [] if len(right.offsets) > 1 else ["the version never changed"]
    for fault in faults:
        out(f"FAULT: {fault}")
    return 1 if faults else 0


def _wrong(server: ServerProcess, end: float, seed: int) -> None:
    """Random requests; how they are answered is for `fuzz_requests` to judge."""
    number = 0
    fuzz = Fuzz(server, end, checks=False)
    while time.monotonic() < end and server.alive:
        fuzz.run(1000, seed + number)
        number += 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    return soak(args.minutes * 60, args.seed)


if __name__ == "__main__":
    sys.exit(main())
