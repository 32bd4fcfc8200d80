"""Selective transfer: which layer groups stay as published, chosen by eval."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

_SELECT = {"method": "select", "candidates": 3, "epochs": 8, "learning_rate": 1e-3}


def _canvases(labels: int):
    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, labels)
        return {
            "method": task.transferred(_SELECT),
            "frozen": task.transferred({"method": "frozen"}),
            "fine_tune": task.transferred({"method": "fine_tune", "epochs": 8, "learning_rate": 1e-3}),
            "scratch": task.scratch(),
            "pixels": task.raw(),
            "control": digits.canvases(seed, labels, shuffled=True).transferred(_SELECT),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E1b, {labels} labels a class",
        "select",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind. What it is to beat "
        "is not transferring; to keep all of it and to train all of it are two of its own candidates, and told.",
        _canvases(labels),
        "a source with shuffled labels",
        shown=("frozen", "fine_tune"),
    )
    for labels in (5, 20)
]
