"""Fine-tuning from a fitted head beside fine-tuning at once, and with rates and phases by layer group.

Kumar et al. ("Fine-Tuning can Distort Pretrained Features", ICLR 2022) claim that a fresh head distorts the features
below it. So both contestants learn at the same rate; the one without a fitted head gets the epochs of the others and
those of a trained head on top.
"""

from collections.abc import Callable

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 8, "learning_rate": 1e-3}
AT_ONCE = {**FINE_TUNE, "head_first": False, "epochs": 28}
DISCRIMINATIVE = {**FINE_TUNE, "layer_decay": 1 / 2.6}
GRADUAL = {**FINE_TUNE, "layer_decay": 1 / 2.6, "gradual": True, "schedule": "slanted_triangular"}


def _canvases(labels: int) -> Callable[[int], dict[str, Result]]:
    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, labels)
        return {
            "method": task.transferred(FINE_TUNE),
            "at once": task.transferred(AT_ONCE),
            "discriminative": task.transferred(DISCRIMINATIVE),
            "gradual": task.transferred(GRADUAL),
            "control": digits.canvases(seed, labels, shuffled=True).transferred(FINE_TUNE),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E1b, head first, {labels} labels a class",
        "fine_tune",
        "Ten digits at random places in noise; the backbone learned other digits of the same kind. Rates are those of "
        "the other experiments on these canvases, and the decay is ULMFiT's.",
        _canvases(labels),
        "a source with shuffled labels",
        shown=("discriminative", "gradual"),
    )
    for labels in (5, 20)
]
