"""A small real pipeline in the image, compiled and run task by task as Kubeflow would: part of `make image-test`.

Runs in the image as its user: `python -B pipeline.py FOLDER`, with a folder that stands for the volume. The demo's
network learns the digits 0-4 and is published; a config names it and photos of 5-9. `graft kubeflow compile` and
`run-local` do the rest, twice: the second run is from the cache but for what looks into the store. Prints one line;
ends with 1 where it went otherwise.
"""

import json
import pathlib
import subprocess
import sys
import time

import yaml

from graft.pipeline.demo import data, source

UNCACHED = {"quality-gate", "serving-check", "push", "report", "verdict"}
"""Tasks that look into the model store, and those after them."""


def prepare(folder: pathlib.Path) -> pathlib.Path:
    """Writes photos, backbone and config; returns the config's path."""
    learned, held_out = data.mnist_source(copies=1, seed=0)
    network, accuracy = source.train_source(learned, held_out, steps=300, seed=0, build=source.build_mnist_network)
    source.publish(network, folder / "backbone" / "1")
    table = data.write_images(data.mnist_target(seed=0), folder / "photos")
    config = {
        "name": "digits",
        "data": {"source": "csv", "path": str(table), "columns": {"split": "split"}},
        "input": {"image_size": [data.MNIST_SIDE, data.MNIST_SIDE], "value_range": [0, 1]},
        "backbone": {"handle": str(folder / "backbone" / "1")},
        "transfer": {"method": "frozen"},
        "gates": {"accuracy": 0.8},
        "root": str(folder / "runs"),
        "store": str(folder / "models"),
        "kubeflow": {"volumes": [{"claim": "graft", "mount": str(folder)}], "pods": {"retries": 0, "memory": "4Gi"}},
    }
    path = folder / "digits.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    print(f"image: a backbone that tells digits 0-4 apart with accuracy {accuracy:.3f}", file=sys.stderr)
    return path


def graft(*words: str) -> str:
    """Standard output of a command of Graft.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(["graft", *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"image: graft {' '.join(words)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def main(folder: pathlib.Path) -> None:
    """Compiles the pipeline and runs it twice."""
    config, compiled = str(prepare(folder)), str(folder / "pipeline.yaml")
    graft("kubeflow", "compile", config, "-o", compiled)
    told = []
    for _ in range(2):
        started = time.monotonic()
        ran = graft(
            "kubeflow", "run-local", compiled, "--config", config, "--folder", str(folder / "k"), "--limits", "--json"
        )
        told.append((json.loads(ran), time.monotonic() - started))
    (first, seconds), (second, again) = told
    states = {task["name"]: task["state"] for task in first["tasks"]}
    repeated = {task["name"] for task in second["tasks"] if task["state"] != "cached"}
    models = json.loads(graft("models", "list", "--store", str(folder / "models"), "--json"))
    if set(states.values()) != {"succeeded"} or repeated != UNCACHED:
        sys.exit(f"image: states {states}, not from the cache {sorted(repeated)}; expected {sorted(UNCACHED)}")
    print(
        f"image: run-local, {len(states)} tasks, {seconds:.0f} s; again, {len(repeated)} tasks, {again:.0f} s; "
        f"each sees its own folder only: {first['isolated']}; models: {json.dumps(models)}"
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
