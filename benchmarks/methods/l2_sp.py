"""L2-SP beside fine-tuning at the same rate, where moving the backbone pays.

With the head fitted first and the best eval weights kept, a rate that is too large for fine-tuning is no chance for
L2-SP: both end with the published backbone.
"""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 12, "learning_rate": 1e-3}
REGULARISED = {**FINE_TUNE, "method": "l2_sp", "weight": 0.1}
"""Weight of the paper."""


def _turned(seed: int) -> dict[str, Result]:
    task = digits.canvases(seed, quarters=1)
    return {
        "method": task.transferred(REGULARISED),
        "fine_tune": task.transferred(FINE_TUNE),
        "frozen": task.transferred({"method": "frozen"}),
        "control": task.transferred({**REGULARISED, "weight": 0.0}),
    }


EXPERIMENTS = [
    Experiment(
        "E1b, turned by 90 degrees, 20 labels a class",
        "l2_sp",
        "Ten digits, turned by 90 degrees, at random places in noise; the backbone learned other digits of the same "
        "kind, upright. Weight of the paper.",
        _turned,
        "weight 0",
        shown=("frozen",),
    )
]
