"""A model store on S3 on loopback beside one in a folder: a push and the first local copy of the same model.

    python -m benchmarks.store [--rounds 7] [--megabytes 20] [--json]

The S3 is moto's server in a process of its own, so these seconds are of Graft, boto3 and moto on this machine: no
network, no real object store. A push and a copy of each kind take turns. The folder needs no copy: its first load is
the check of every file against the manifest, which is part of the other's too. Also counted: requests of a push, a
first copy and a poll.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from benchmarks import spread


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Address of a store on a fresh server; the environment leads boto3 to it."""
    program = "import sys; from moto.server import main; sys.argv[1:] = ['-p', '0']; main()"
    with subprocess.Popen([sys.executable, "-u", "-c", program], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            port = next(found[1] for line in server.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
            os.environ.update(
                AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
                AWS_ACCESS_KEY_ID="benchmark",
                AWS_SECRET_ACCESS_KEY="benchmark",
                AWS_REGION="us-east-1",
            )
            from graft.serving.s3_client import client

            client().create_bucket(Bucket="benchmark")
            yield "s3://benchmark/store"
        finally:
            server.kill()


def make_model(folder: pathlib.Path, megabytes: int) -> pathlib.Path:
    """A folder with the files of a SavedModel; no two have the same content."""
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(os.urandom(500_000))
    (folder / "variables" / "variables.index").write_bytes(os.urandom(5_000))
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(os.urandom(megabytes * 1_000_000))
    return folder


def measure(rounds: int, megabytes: int) -> dict:
    """Seconds by kind and step, ratios, and requests."""
    from graft.serving import manifest, s3_bucket
    from graft.serving.sources import StoreSource
    from graft.serving.store import open_store

    asked = 0
    real = s3_bucket.Bucket._call

    def call(self, operation, **arguments):
        nonlocal asked
        asked += 1
        return real(self, operation, **arguments)

    s3_bucket.Bucket._call = call  # type: ignore[method-assign]

    def requests(work: Callable[[], object]) -> int:
        nonlocal asked
        asked = 0
        work()
        return asked

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    taken: dict[str, list[float]] = {f"{kind}_{step}": [] for kind in ("folder", "s3") for step in ("push", "load")}
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name, s3_server() as address:
        root = pathlib.Path(name)
        os.environ["GRAFT_STORE_CACHE"] = str(root / "cache")
        stores = {"folder": open_store(root / "store"), "s3": open_store(address)}
        for number in range(rounds + 1):
            model = make_model(root / f"model{number}", megabytes)
            for kind, store in stores.items():
                pushed: list[int] = []
                push = seconds(
                    lambda store=store, model=model, pushed=pushed: pushed.append(store.push("m", model, {}))
                )  # type: ignore[misc]

                def load(store=store, version=pushed[0]):
                    assert not manifest.problems(store.version_path("m", version))

                took = seconds(load)
                if number:  # the first also makes the store and the client
                    taken[f"{kind}_push"].append(push)
                    taken[f"{kind}_load"].append(took)
        model = make_model(root / "last", 1)
        counts["push"] = requests(lambda: stores["s3"].push("m", model, {}))
        counts["load"] = requests(lambda: stores["s3"].version_path("m", stores["s3"].served("m") or 0))
        source = StoreSource(open_store(address))
        counts["first_poll"] = requests(source.poll)
        counts["poll"] = requests(source.poll)
    s3_bucket.Bucket._call = real  # type: ignore[method-assign]
    result: dict = {key: spread(values) for key, values in taken.items()}
    for step in ("push", "load"):
        pairs = zip(taken[f"s3_{step}"], taken[f"folder_{step}"], strict=True)
        result[f"{step}_ratio"] = spread([s3 / folder for s3, folder in pairs])
    return result | {"requests": counts}


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=20, help="of the model's variables")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.megabytes < 1:
        print("--rounds and --megabytes must be at least 1", file=sys.stderr)
        return 1
    result = measure(options.rounds, options.megabytes)
    if options.json:
        print(json.dumps({"cores": len(os.sched_getaffinity(0)), "megabytes": options.megabytes, **result}))
        return 0
    print(f"{'':12}{'min':>9}{'median':>9}{'max':>9}")
    for key, figures in result.items():
        if key != "requests":
            print(f"{key:12}" + "".join(f"{figures[which]:9.3f}" for which in ("min", "median", "max")))
    print("requests: " + ", ".join(f"{what.replace('_', ' ')} {count}" for what, count in result["requests"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
