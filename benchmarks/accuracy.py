"""Test accuracy of a configuration over seeds, with the seconds of each stage.

    python -m benchmarks.accuracy configs/trashnet.yaml [--seeds 3] [--set transfer.method=fine_tune] [--json]

Each seed is one `graft run` with `train.seed` set, in a temporary folder that the seeds share: the stages before the
training, which the seed does not touch, come from the cache after the first. The configuration's gates are left out, so
that a seed below a floor is counted like any other. `--root` keeps the runs and reports.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks import spread


def run_seed(config: str, overrides: list[str], root: pathlib.Path, seed: int) -> dict:
    """What `graft run --json` prints for one seed.

    Raises:
        RuntimeError: the run fails.
    """
    # The baseline gate has a default, and each seed's model is the baseline of the next.
    settings = ["gates={baseline_tolerance: null}", f"root={root / 'runs'}", f"store={root / 'store'}"]
    settings += [*overrides, f"train.seed={seed}"]
    command = [sys.executable, "-m", "graft.pipeline.cli", "run", config, "--json"]
    command += [part for setting in settings for part in ("--set", setting)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {ended.returncode}: {ended.stdout[-2000:]}")
    return json.loads(ended.stdout)


def summary(runs: list[dict]) -> dict:
    """Accuracy, macro F1 and seconds over runs, as min, median, max; a stage's seconds are of the runs that ran it.

    Args:
        runs: what `graft run --json` printed, in the order of the seeds.
    """
    names = [stage["name"] for stage in runs[0]["stages"]]
    ran = {
        name: [s["seconds"] for run in runs for s in run["stages"] if s["name"] == name and not s["cached"]]
        for name in names
    }
    return {
        "seeds": len(runs),
        "test_examples": runs[0]["metrics"]["examples"],
        "accuracies": [round(run["metrics"]["accuracy"], 4) for run in runs],
        "accuracy": spread([run["metrics"]["accuracy"] for run in runs]),
        "macro_f1": spread([run["metrics"]["macro_f1"] for run in runs]),
        "stage_seconds": {name: spread(seconds) for name, seconds in ran.items() if seconds},
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="YAML file of the pipeline")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `graft run`")
    parser.add_argument("--root", type=pathlib.Path, help="folder for the runs; by default one that is removed")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of a table")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        print("--seeds must be at least 1", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.root or pathlib.Path(temporary)).absolute()
        runs = [run_seed(options.config, options.set, root, seed) for seed in range(options.seeds)]
    result = {"config": options.config, "set": options.set, "cores": len(os.sched_getaffinity(0)), **summary(runs)}
    if options.json:
        print(json.dumps(result))
        return 0
    print(f"{options.config} {' '.join(options.set)}: {result['seeds']} seeds, {result['test_examples']} test examples")
    print(f"{'':24}{'min':>9}{'median':>9}{'max':>9}")
    rows = {"accuracy": result["accuracy"], "macro_f1": result["macro_f1"]}
    rows |= {f"{name} seconds": values for name, values in result["stage_seconds"].items()}
    for key, values in rows.items():
        print(f"{key:24}" + "".join(f"{values[name]:9.3f}" for name in ("min", "median", "max")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
