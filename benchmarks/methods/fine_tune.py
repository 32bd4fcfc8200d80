"""Fine-tuning beside the frozen backbone."""

from collections.abc import Callable

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 8, "learning_rate": 1e-3}


def _canvases(labels: int, quarters: int) -> Callable[[int], dict[str, Result]]:
    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, labels, quarters=quarters)
        return {
            "method": task.transferred(FINE_TUNE),
            "frozen": task.transferred({"method": "frozen"}),
            "scratch": task.scratch(),
            "pixels": task.raw(),
            "control": digits.canvases(seed, labels, shuffled=True, quarters=quarters).transferred(FINE_TUNE),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E1b{', turned by 90 degrees' if quarters else ''}, {labels} labels a class",
        "fine_tune",
        f"Ten digits{', turned by 90 degrees,' if quarters else ''} at random places in noise; the backbone learned "
        f"others of the same kind{', upright' if quarters else ''}.",
        _canvases(labels, quarters),
        "a source with shuffled labels",
    )
    for labels, quarters in ((5, 0), (20, 0), (20, 1))
]
