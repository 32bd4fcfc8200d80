"""Asks a running TensorBoard for the last value of every scalar, with Python's standard library alone.

tensorboard --logdir runs/flowers/artifacts/train/model_run
python docs/examples/scalars.py [http://localhost:6006]
"""

import json
import sys
import urllib.parse
import urllib.request


def ask(address: str, path: str, **query: str) -> dict:
    """What TensorBoard's HTTP API answers."""
    url = f"{address.rstrip('/')}/data/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


def main(address: str = "http://localhost:6006") -> int:
    for run, tags in sorted(ask(address, "plugin/scalars/tags").items()):
        for tag in sorted(tags):
            # A row a step: seconds since 1970, step, value.
            _, step, value = ask(address, "plugin/scalars/scalars", run=run, tag=tag)[-1]
            print(f"{run}\t{tag}\t{step}\t{value:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
