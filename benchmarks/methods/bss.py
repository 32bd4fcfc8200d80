"""BSS beside fine-tuning at the same rate."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 8, "learning_rate": 1e-3}
FADED = {**FINE_TUNE, "method": "bss", "weight": 1e-3, "k": 1}


def _canvases(seed: int) -> dict[str, Result]:
    task = digits.canvases(seed, 5)
    return {
        "method": task.transferred(FADED),
        "fine_tune": task.transferred(FINE_TUNE),
        "frozen": task.transferred({"method": "frozen"}),
        "control": digits.canvases(seed, 5, shuffled=True).transferred(FADED),
    }


EXPERIMENTS = [
    Experiment(
        "E1b, 5 labels a class",
        "bss",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind. Settings of the "
        "paper.",
        _canvases,
        "a source with shuffled labels",
        shown=("frozen",),
    )
]
