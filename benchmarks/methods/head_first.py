"""Fine-tuning from a fitted head beside fine-tuning at once, and with rates and phases by layer group.

Kumar et al. ("Fine-Tuning can Distort Pretrained Features", ICLR 2022) claim that a fresh head distorts the features
below it. In both contestants the backbone moves at the same rate. The fresh head learns a hundred times as fast, which
on the eval split of seed 1000 is the stronger baseline (loss 0.48, against 1.42 with 1e-3 for both), and gets the
epochs of the others and those of a trained head on top.
"""

from collections.abc import Callable

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

FINE_TUNE = {"method": "fine_tune", "epochs": 8, "learning_rate": 1e-4}
AT_ONCE = {**FINE_TUNE, "head_first": False, "head_multiplier": 100.0, "epochs": 28}
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
        "Ten digits at random places in noise; the backbone learned other digits of the same kind. Rates were "
        "chosen by the eval loss of a seed that is not used here; the decay is ULMFiT's.",
        _canvases(labels),
        "a source with shuffled labels",
        shown=("discriminative", "gradual"),
    )
    for labels in (5, 20)
]
