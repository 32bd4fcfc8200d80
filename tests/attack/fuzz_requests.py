"""Sends random requests to the embedded server; every one must get a clear answer, and nothing may be left behind.

    python tests/attack/fuzz_requests.py --requests 100000 --seed 0 --time-limit 1800

The server is a process of its own with real small models. Requests are made by hypothesis from the seed, right, nearly
right and wrong: gRPC and REST, and bytes that are neither. Prints a table of what was sent by answer. Exit code 1 if
the server ended, answered INTERNAL, UNKNOWN or 500, left a request unanswered, answered a right one wrong, wrote a
traceback, or kept memory, files or threads; the request is then in a file that `--replay` sends again.
"""

import argparse
import base64
import collections
import contextlib
import dataclasses
import http.client
import json
import pathlib
import queue
import socket
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "attack")]

import grpc  # noqa: E402
import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
from request_strategies import Sent, requests  # noqa: E402
from server_process import ServerProcess, Usage  # noqa: E402
from small_models import save_images, save_linear, save_odd, save_zoo  # noqa: E402

from graft.serving.client import Client, ClientError  # noqa: E402

DEADLINE_S = 60.0
RAW_S = 0.05
"""How long bytes that are no whole request get for an answer."""
_ROUND = 500
_CLIENTS = 6
_CHECK_EVERY = 50
_FAULTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS", "DEADLINE_EXCEEDED", "UNAVAILABLE", "500", "503", "504", "unanswered")
# What may be left: allocators keep arenas, TensorFlow keeps what it compiled, a thread waits for the next call.
_MEMORY_SLACK, _FILES_SLACK, _THREADS_SLACK = 256 << 20, 8, 48
_LIMITS = {"idle_s": 5.0, "header_s": 2.0, "stall_s": 2.0}


def models(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Saves the models that `request_strategies.SIGNATURES` lists."""
    return {
        "m": save_linear(folder / "m" / "1", 0.5, 2.0),
        "images": save_images(folder / "images" / "1"),
        "zoo": save_zoo(folder / "zoo" / "1"),
        "odd": save_odd(folder / "odd" / "1"),
    }


class Fuzz:
    """Random requests to one server.

    Args:
        server: what is attacked.
        stop_at: `time.monotonic()` after which nothing is sent.
        checks: whether right requests are sent between the others, and the faults counted.

    Attributes:
        answers: how often each kind of request got each answer.
        faults: what went wrong, with the request if it is known.
    """

    def __init__(self, server: ServerProcess, stop_at: float, checks: bool = True):
        self.server = server
        self._checks = checks
        self.answers: collections.Counter[tuple[str, str]] = collections.Counter()
        self.faults: list[tuple[str, Sent | None]] = []
        self._stop_at = stop_at
        self._sent = 0
        self._lock = threading.Lock()
        self._queue: queue.Queue[Sent | None] = queue.Queue(10 * _CLIENTS)

    @property
    def count(self) -> int:
        """Requests sent so far."""
        return self._sent

    def run(self, count: int, seed: int, out=lambda line: None) -> None:
        """Sends `count` requests, fewer if the time is up; `out` is told ten times how far it is."""
        clients = [threading.Thread(target=self._client) for _ in range(_CLIENTS)]
        for client in clients:
            client.start()
        made, number = 0, 0
        try:
            while made < count and not self._over:
                made += self._make(min(_ROUND, count - made), seed * 1_000_003 + number)
                number += 1
                if made * 10 // count > (made - _ROUND) * 10 // count and self.server.alive:
                    out(f"{self.count} requests sent; the server takes {_shown(self.server.usage())}")
        finally:
            for _ in clients:
                self._queue.put(None)
            for client in clients:
                client.join()

    def send(self, sent: Sent) -> str:
        """Sends one request with connections of its own; what came back."""
        with _Connections(self.server) as connections:
            return connections.send(sent)

    @property
    def _over(self) -> bool:
        return time.monotonic() > self._stop_at or not self.server.alive or len(self.faults) >= 10

    def _make(self, count: int, seed: int) -> int:
        """Puts `count` requests into the queue: a round of its own, as hypothesis remembers all of a round."""
        made = 0

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(requests())
        def one(sent: Sent) -> None:
            nonlocal made
            made += 1
            if not self._over:
                self._queue.put(sent)

        one()
        return made

    def _client(self) -> None:
        with _Connections(self.server) as connections:
            while (sent := self._queue.get()) is not None:
                if self._over:
                    continue
                answer = connections.send(sent)
                with self._lock:
                    self._sent += 1
                    check = self._sent % _CHECK_EVERY == 0
                    self.answers[sent.kind, answer] += 1
                if not self._checks:
                    continue
                if answer.split()[-1] in _FAULTS:
                    self.faults.append((f"{sent.kind}: {answer}", sent))
                if check:
                    wrong = connections.check()
                    self.answers["right requests", "wrong" if wrong else "right"] += 1
                    if wrong:
                        self.faults.append((f"a right request: {wrong}", sent))


class _Connections:
    """A client's connections to a server, kept from request to request where they can be."""

    def __init__(self, server: ServerProcess):
        self._server = server
        self._channel = grpc.insecure_channel(server.grpc)
        self._rest = http.client.HTTPConnection(*server.rest, timeout=DEADLINE_S)

    def __enter__(self) -> "_Connections":
        return self

    def __exit__(self, *_) -> None:
        self._channel.close()
        self._rest.close()

    def send(self, sent: Sent) -> str:
        """The status of the answer, in a word or two."""
        if sent.kind == "gRPC":
            return self._send_grpc(sent)
        if sent.kind == "REST":
            return self._send_rest(sent)
        return self._send_raw(sent)

    def check(self) -> str:
        """Asks by both ways what has one right answer; what was wrong, if anything."""
        try:
            with Client(self._server.grpc, "m", deadline_s=DEADLINE_S) as client:
                found = client.predict({"x": np.float32([2.0])})["y"].tolist()
        except ClientError as error:
            return str(error)
        body = b'{"instances": [{"a": 1, "b": 2}], "signature_name": "both"}'
        status = self._send_rest(Sent("REST", "POST /v1/models/m:predict", (), body))
        return "" if found == [3.0] and status == "200" else f"gRPC answered {found}, REST {status}"

    def _send_grpc(self, sent: Sent) -> str:
        call = self._channel.unary_unary(sent.target)
        try:
            call(sent.body, timeout=DEADLINE_S, metadata=sent.headers)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def _send_rest(self, sent: Sent) -> str:
        verb, _, path = sent.target.partition(" ")
        for fresh in (False, True):
            if fresh:
                self._rest.close()  # an idle one may have been closed by the server
            try:
                self._rest.request(verb, path, sent.body, dict(sent.headers))
                response = self._rest.getresponse()
                content = response.read()
            except TimeoutError:
                self._rest.close()
                return "unanswered"
            except (OSError, http.client.HTTPException):
                continue
            if content and b'"error"' not in content and response.status >= 400:
                return f"{response.status} unanswered"  # an error without its reason
            return str(response.status)
        return "closed unanswered"

    def _send_raw(self, sent: Sent) -> str:
        host, _, port = self._server.grpc.rpartition(":")
        address = self._server.rest if sent.kind == "raw REST" else (host, int(port))
        try:
            connection = socket.create_connection(address, timeout=DEADLINE_S)
        except OSError:
            return "not connected unanswered"
        with connection:
            connection.settimeout(RAW_S)
            try:
                connection.sendall(sent.body)
                received = connection.recv(1 << 12)
            except TimeoutError:
                return "waits"  # for more to come
            except OSError:
                return "closed"
        if sent.kind == "raw REST" and received.startswith(b"HTTP/1.1 "):
            return received[9:12].decode()
        return "answered" if received else "closed"


def usage_after(server: ServerProcess, start: Usage) -> Usage:
    """What the server takes once it has given back what it gives back, or after some seconds."""
    end = time.monotonic() + 4 * _LIMITS["idle_s"]
    while (now := server.usage()).files > start.files and time.monotonic() < end:
        time.sleep(0.1)
    return now


def leaks(start: Usage, end: Usage) -> list[str]:
    """What has grown by more than it may."""
    slack = Usage(_MEMORY_SLACK, _FILES_SLACK, _THREADS_SLACK)
    return [
        f"{field.name} grew from {getattr(start, field.name)} to {getattr(end, field.name)}"
        for field in dataclasses.fields(Usage)
        if getattr(end, field.name) > getattr(start, field.name) + getattr(slack, field.name)
    ]


def table(fuzz: Fuzz) -> str:
    """What was sent, by kind and answer."""
    rows = [f"{count:>8}  {kind:<15} {answer}" for (kind, answer), count in sorted(fuzz.answers.items())]
    return "\n".join(["requests  kind            answer", *rows])


def save(sent: Sent, path: pathlib.Path) -> None:
    """Writes a request for `--replay`."""
    content = dataclasses.asdict(sent) | {"body": base64.b64encode(sent.body).decode()}
    path.write_text(json.dumps(content, indent=1))


def load(path: pathlib.Path) -> Sent:
    """Reads what `save` wrote."""
    content = json.loads(path.read_text())
    headers = tuple((name, value) for name, value in content["headers"])
    return Sent(content["kind"], content["target"], headers, base64.b64decode(content["body"]))


def _say(line: str) -> None:
    print(line, flush=True)


def fuzz(count: int, seed: int, time_limit: float, failures: pathlib.Path, out=_say) -> int:
    """Runs it all; the exit code."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root = pathlib.Path(folder)
        server = stack.enter_context(ServerProcess(root / "log", models=models(root), limits=_LIMITS))
        run = Fuzz(server, begun + time_limit)
        # Until everything has been asked once, a server only grows.
        warm_up = max(200, count // 20)
        run.run(warm_up, seed + 1)
        start = usage_after(server, server.usage())
        run.run(count - warm_up, seed, out)
        faults = list(run.faults)
        if not server.alive:
            faults.append(("the server has ended", None))
        else:
            end = usage_after(server, start)
            faults += [(leak, None) for leak in leaks(start, end)]
            out(f"\nserver at the start: {_shown(start)}\nserver at the end:   {_shown(end)}")
        log = server.log.read_text(errors="replace")
        if "Traceback" in log:
            faults.append((f"a traceback in the server's log:\n{log[log.index('Traceback') :][:3000]}", None))
    if run.count < count:
        faults.append((f"only {run.count} requests of {count} were sent in {time_limit:g} s", None))
    out(f"\n{table(run)}\n\n{run.count} requests, seed {seed}, {time.monotonic() - begun:.0f} s")
    for number, (fault, sent) in enumerate(faults):
        where = ""
        if sent is not None:
            failures.mkdir(parents=True, exist_ok=True)
            save(sent, failures / f"request-{number}.json")
            where = f"; see {failures / f'request-{number}.json'}"
        out(f"FAULT: {fault}{where}")
    out("no fault" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


def replay(path: pathlib.Path) -> int:
    """Sends a saved request to a fresh server and prints the answer and the log."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        with ServerProcess(root / "log", models=models(root), limits=_LIMITS) as server:
            answer = Fuzz(server, 0).send(load(path))
            print(f"{server.log.read_text()}\n{answer}")
    return 0


def _shown(usage: Usage) -> str:
    return f"{usage.memory / 2**20:.0f} MiB, {usage.files} files, {usage.threads} threads"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=1800.0, help="seconds")
    parser.add_argument("--failures", type=pathlib.Path, default=pathlib.Path("fuzz-failures"))
    parser.add_argument("--replay", type=pathlib.Path, help="send one saved request instead")
    args = parser.parse_args()
    if args.replay:
        return replay(args.replay)
    return fuzz(args.requests, args.seed, args.time_limit, args.failures)


if __name__ == "__main__":
    sys.exit(main())
