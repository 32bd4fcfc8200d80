"""DELTA beside fine-tuning at the same rate, one that is too large."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 8, "learning_rate": 1e-2}
HELD = {**FINE_TUNE, "method": "delta", "weight": 0.01}


def _canvases(seed: int) -> dict[str, Result]:
    task = digits.canvases(seed, 5)
    return {
        "method": task.transferred(HELD),
        "fine_tune": task.transferred(FINE_TUNE),
        "without attention": task.transferred({**HELD, "attention": False}),
        "frozen": task.transferred({"method": "frozen"}),
        "control": digits.canvases(seed, 5, shuffled=True).transferred(HELD),
    }


EXPERIMENTS = [
    Experiment(
        "E1b, 5 labels a class, a rate too large",
        "delta",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind. Weight of the "
        "paper, rate 0.01 for both.",
        _canvases,
        "a source with shuffled labels",
        shown=("frozen", "without attention"),
    )
]
