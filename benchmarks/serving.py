"""Requests a second of the embedded server over gRPC: variables frozen to constants against a plain session.

    python -m benchmarks.serving [--model DIR] [--rounds 3] [--requests 24] [--batch 1] [--clients 4] [--json]

Both engines load the same SavedModel in one process and take turns, so that what else the machine does falls on both;
each round gives one ratio. Answers are compared too.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import time

import numpy as np

from benchmarks import spread

DEFAULT_MODEL = "${GRAFT_DATA}/backbones/hub_style_mobilenet_v2_feature_vector/1"


def _rate(address: str, inputs: dict[str, np.ndarray], requests: int, clients: int) -> float:
    from graft.serving.client import Client

    with Client(address, "m", deadline_s=300) as client, concurrent.futures.ThreadPoolExecutor(clients) as pool:
        start = time.monotonic()
        for future in [pool.submit(client.predict, inputs) for _ in range(requests)]:
            future.result()
        return requests / (time.monotonic() - start)


def measure(model: pathlib.Path, rounds: int, requests: int, batch: int, clients: int) -> dict:
    """Requests/s of both servers and their ratio, each as min, median, max over the rounds.

    The model's serving_default must take one float32 tensor [n, height, width, 3].
    """
    from graft.serving.client import Client
    from graft.serving.server import EmbeddedServer

    generator = np.random.default_rng(0)
    with (
        EmbeddedServer(models={"m": model}, freeze=True, rest_port=None) as frozen,
        EmbeddedServer(models={"m": model}, freeze=False, rest_port=None) as plain,
    ):
        with (
            Client(frozen.grpc_address, "m", deadline_s=300) as one,
            Client(plain.grpc_address, "m", deadline_s=300) as other,
        ):
            ((alias, info),) = one.metadata()["serving_default"]["inputs"].items()
            inputs = {alias: generator.random([batch, *info["shape"][1:]], dtype=np.float32)}
            answers = {"frozen": one.predict(inputs), "plain": other.predict(inputs)}
        rates: dict[str, list[float]] = {"frozen": [], "plain": []}
        for _ in range(rounds):
            for name, server in (("frozen", frozen), ("plain", plain)):
                rates[name].append(_rate(server.grpc_address, inputs, requests, clients))
    return {
        "model": str(model),
        "cores": len(os.sched_getaffinity(0)),
        "rounds": rounds,
        "requests": requests,
        "batch": batch,
        "clients": clients,
        "largest_difference": max(
            float(np.abs(answers["frozen"][key] - answers["plain"][key]).max()) for key in answers["plain"]
        ),
        "frozen_requests_per_s": spread(rates["frozen"]),
        "plain_requests_per_s": spread(rates["plain"]),
        "ratio": spread([one / other for one, other in zip(rates["frozen"], rates["plain"], strict=True)]),
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="folder of a SavedModel that takes floats")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=24, help="a round and server")
    parser.add_argument("--batch", type=int, default=1, help="rows in a request")
    parser.add_argument("--clients", type=int, default=4, help="requests under way at once")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    model = pathlib.Path(os.path.expandvars(options.model))
    if not (model / "saved_model.pb").is_file():
        print(f"{model}: no SavedModel there; set GRAFT_DATA or give --model", file=sys.stderr)
        return 1
    result = measure(model, options.rounds, options.requests, options.batch, options.clients)
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{result['model']}, {result['cores']} cores, batch {options.batch}, {options.clients} clients")
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}")
    for key in ("frozen_requests_per_s", "plain_requests_per_s", "ratio"):
        print(f"{key:24}" + "".join(f"{result[key][name]:9.2f}" for name in ("min", "median", "max")))
    print(f"largest difference of an answer: {result['largest_difference']:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
