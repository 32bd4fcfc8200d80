"""L2-SP, DELTA and BSS beside fine-tuning at the same rate, where moving the backbone pays.

With the head fitted first and the best eval weights kept, a rate that is too large for fine-tuning is no chance for
them: both end with the published backbone.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 12, "learning_rate": 1e-3}
METHODS: dict[str, dict[str, Any]] = {
    "l2_sp": {"weight": 0.1},
    "delta": {"weight": 0.01},
    "bss": {"weight": 1e-3, "k": 1},
}
"""With the settings of the papers."""


def _turned(method: str) -> Callable[[int], dict[str, Result]]:
    regularised = {**FINE_TUNE, "method": method, **METHODS[method]}

    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, quarters=1)
        found = {
            "method": task.transferred(regularised),
            "fine_tune": task.transferred(FINE_TUNE),
            "frozen": task.transferred({"method": "frozen"}),
        }
        if method == "delta":
            found["without attention"] = task.transferred({**regularised, "attention": False})
        if method == "l2_sp":
            return {**found, "control": task.transferred({**regularised, "weight": 0.0})}
        return {**found, "control": digits.canvases(seed, shuffled=True, quarters=1).transferred(regularised)}

    return run


EXPERIMENTS = [
    Experiment(
        "E1b, turned by 90 degrees, 20 labels a class",
        method,
        "Ten digits, turned by 90 degrees, at random places in noise; the backbone learned other digits of the same "
        "kind, upright. Settings of the paper.",
        _turned(method),
        "weight 0" if method == "l2_sp" else "a source with shuffled labels",
        shown=("frozen", "without attention") if method == "delta" else ("frozen",),
    )
    for method in METHODS
]
