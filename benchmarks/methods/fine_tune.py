"""Fine-tuning beside the frozen backbone."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 8, "learning_rate": 1e-3}


def _canvases(labels: int):
    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, labels)
        return {
            "method": task.transferred(FINE_TUNE),
            "frozen": task.transferred({"method": "frozen"}),
            "scratch": task.scratch(),
            "pixels": task.raw(),
            "control": digits.canvases(seed, labels, shuffled=True).transferred(FINE_TUNE),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E1b, {labels} labels a class",
        "fine_tune",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind.",
        _canvases(labels),
        "a source with shuffled labels",
    )
    for labels in (5, 20)
]
