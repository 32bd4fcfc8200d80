"""L2-SP beside fine-tuning at the same rate: one that is too large, and one that is right."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

WEIGHT = 0.1
"""Of the paper."""


def _canvases(rate: float):
    fine_tune = {"method": "fine_tune", "epochs": 8, "learning_rate": rate}
    drawn = {**fine_tune, "method": "l2_sp", "weight": WEIGHT}

    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, 5)
        return {
            "method": task.transferred(drawn),
            "fine_tune": task.transferred(fine_tune),
            "frozen": task.transferred({"method": "frozen"}),
            "control": task.transferred({**drawn, "weight": 0.0}),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E1b, 5 labels a class, {name}",
        "l2_sp",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind. Weight of the "
        f"paper, rate {rate:g} for both.",
        _canvases(rate),
        "weight 0",
        shown=("frozen",),
    )
    for name, rate in (("a rate too large", 1e-2), ("the right rate", 1e-3))
]
