"""Requests a second of `graft serve` over gRPC with a request log and without.

    python -m benchmarks.request_log [--model DIR] [--rounds 15] [--seconds 3] [--clients 8] [--options="--metrics"]

Both servers are processes of their own on one store and take turns, so that what else the machine does falls on
both; each round gives one ratio. The log keeps every request with its inputs. Without --model the model is one
multiplication: no real one leaves less time beside the log. Processor seconds of the server a request are compared too,
which other programs disturb less. With --options the server that is compared has these, in place of the log. Clients
send ready-made bytes, so that the server is what is measured.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from benchmarks import spread

_METHOD = "/tensorflow.serving.PredictionService/Predict"


def _save_line(folder: pathlib.Path) -> pathlib.Path:
    """y = 2 x."""
    import tensorflow as tf

    module = tf.Module()
    module.call = tf.function(lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    return folder


class _Server:
    """`graft serve` in a process of its own."""

    def __init__(self, store: pathlib.Path, *options: str):
        command = [sys.executable, "-m", "graft.pipeline.cli", "serve", str(store), "--embedded", "--json"]
        self._process = subprocess.Popen(
            [*command, "--grpc-port", "0", "--rest-port", "0", *options], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said:
            raise RuntimeError(f"the server ended with status {self._process.wait()}")
        self.address: str = json.loads(said)["grpc"]

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        fields = pathlib.Path("/proc", str(self._process.pid), "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@contextlib.contextmanager
def _serving(store: pathlib.Path, *options: str) -> Iterator[_Server]:
    server = _Server(store, *options)
    try:
        yield server
    finally:
        server.stop()


def _request(server: _Server, batch: int) -> bytes:
    """A request of the model's one input with floats of any size that it leaves open, as it travels."""
    from graft.serving import tensors
    from graft.serving.client import Client
    from graft.serving.protos import predict_pb2

    with Client(server.address, "m") as client:
        ((alias, info),) = client.metadata()["serving_default"]["inputs"].items()
    array = np.random.default_rng(0).random([batch, *info["shape"][1:]], np.float32)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs[alias].CopyFrom(tensors.to_proto(array, as_content=True))
    return request.SerializeToString()


def _load(server: _Server, request: bytes, seconds: float, clients: int) -> tuple[float, float]:
    """Requests a second, and processor seconds of the server a request."""
    import grpc

    with grpc.insecure_channel(server.address) as channel, concurrent.futures.ThreadPoolExecutor(clients) as pool:
        call = channel.unary_unary(_METHOD)  # bytes in, bytes out

        def work(end: float) -> int:
            count = 0
            while time.monotonic() < end:
                call(request, timeout=60)
                count += 1
            return count

        list(pool.map(work, [time.monotonic() + 0.1] * clients))
        cpu, start = server.cpu_s(), time.monotonic()
        count = sum(pool.map(work, [start + seconds] * clients))
        return count / (time.monotonic() - start), (server.cpu_s() - cpu) / count


def measure(
    model: pathlib.Path | None, rounds: int, seconds: float, batch: int, clients: int, options: list[str] | None = None
) -> dict:
    """Figures of both servers and their ratios, each as min, median, max over the rounds."""
    from graft.monitoring.request_log.reader import Reading, read
    from graft.serving.store import open_store

    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        open_store(folder / "store").push("m", model or _save_line(folder / "line"), {})
        log = folder / "log"
        with (
            _serving(folder / "store") as without,
            _serving(folder / "store", *(["--request-log", str(log)] if options is None else options)) as logging,
        ):
            request = _request(without, batch)
            found: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
            for number in range(rounds):
                turns = [("without", without), ("with", logging)]
                for name, server in turns if number % 2 else turns[::-1]:
                    found[name].append(_load(server, request, seconds, clients))
        reading = Reading()
        logged = sum(1 for _ in read(log, reading)) if log.is_dir() else 0
    pairs = list(zip(found["with"], found["without"], strict=True))
    return {
        "model": "y = 2 x" if model is None else str(model),
        "cores": len(os.sched_getaffinity(0)),
        "request_bytes": len(request),
        "clients": clients,
        "rounds": rounds,
        "logged": logged,
        "with_log_requests_per_s": spread([rate for rate, _ in found["with"]]),
        "without_requests_per_s": spread([rate for rate, _ in found["without"]]),
        "ratio": spread([one[0] / other[0] for one, other in pairs]),
        "with_log_cpu_ms": spread([1e3 * cpu for _, cpu in found["with"]]),
        "without_cpu_ms": spread([1e3 * cpu for _, cpu in found["without"]]),
        "cpu_ratio": spread([other[1] / one[1] for one, other in pairs]),
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a SavedModel with one input of floats")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0, help="a round and server")
    parser.add_argument("--batch", type=int, default=1, help="rows in a request")
    parser.add_argument("--clients", type=int, default=8, help="requests under way at once")
    parser.add_argument("--options", type=shlex.split, help="of the server that is compared, in place of --request-log")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    model = pathlib.Path(os.path.expandvars(options.model)) if options.model else None
    if model is not None and not (model / "saved_model.pb").is_file():
        print(f"{model}: no SavedModel there", file=sys.stderr)
        return 1
    result = measure(model, options.rounds, options.seconds, options.batch, options.clients, options.options)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{result['model']}, {result['request_bytes']} bytes a request, {result['logged']} requests logged")
    print(f"{'':26}{'min':>10}{'median':>10}{'max':>10}")
    for key, value in result.items():
        if isinstance(value, dict):
            print(f"{key:26}" + "".join(f"{value[name]:10.3f}" for name in ("min", "median", "max")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
