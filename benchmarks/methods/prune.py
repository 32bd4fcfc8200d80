"""E7: a pruned backbone that recovers beside one that does not."""

from benchmarks.methods import digits
from benchmarks.methods.form import Experiment, Result

_STILL = {"learning_rate": 1e-9}
"""A rate at which nothing recovers."""
_RECOVERS = {"epochs": 10, "learning_rate": 1e-3}


def _pruned(sparsity: float, **options) -> dict:
    return {"method": "prune", "sparsity": sparsity, "ramp_epochs": 4, "every": 5, **options}


def _canvases(sparsity: float):
    def run(seed: int) -> dict[str, Result]:
        task = digits.canvases(seed, labels=20)
        return {
            "method": task.transferred(_pruned(sparsity, **_RECOVERS)),
            "one-shot": task.transferred(_pruned(sparsity, epochs=1, **_STILL) | {"ramp_epochs": 0}),
            "dense": task.transferred({"method": "fine_tune", **_RECOVERS}),
            "control": task.transferred(_pruned(sparsity, epochs=10, **_STILL)),
        }

    return run


EXPERIMENTS = [
    Experiment(
        f"E7, {sparsity:.0%} of the weights removed",
        "prune",
        "Ten digits at random places in noise, 20 labels a class; the backbone learned other digits of the same kind. "
        "One-shot removes the same share at once and trains on at a rate at which nothing moves; dense is fine-tuning "
        "without pruning.",
        _canvases(sparsity),
        "the same ramp at a rate at which nothing recovers",
        shown=("dense",),
    )
    for sparsity in (0.5, 0.8, 0.95)
]
