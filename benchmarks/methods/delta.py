"""DELTA beside fine-tuning at the same rate, where moving the backbone pays."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 12, "learning_rate": 1e-3}
REGULARISED = {**FINE_TUNE, "method": "delta", "weight": 0.01}
"""Weight of the paper."""


def _turned(seed: int) -> dict[str, Result]:
    task = digits.canvases(seed, quarters=1)
    return {
        "method": task.transferred(REGULARISED),
        "fine_tune": task.transferred(FINE_TUNE),
        "without attention": task.transferred({**REGULARISED, "attention": False}),
        "frozen": task.transferred({"method": "frozen"}),
        "control": digits.canvases(seed, shuffled=True, quarters=1).transferred(REGULARISED),
    }


EXPERIMENTS = [
    Experiment(
        "E1b, turned by 90 degrees, 20 labels a class",
        "delta",
        "Ten digits, turned by 90 degrees, at random places in noise; the backbone learned other digits of the same "
        "kind, upright. Weight of the paper.",
        _turned,
        "a source with shuffled labels",
        shown=("frozen", "without attention"),
    )
]
