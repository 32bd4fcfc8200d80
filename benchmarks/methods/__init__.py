"""Every transfer method beside what it must beat, over seeds, with a control that must fail.

    python -m benchmarks.methods [--only NAME...] [--seeds 3] [--json FILE] [--table FILE]

An experiment is an `Experiment` (`form.py`) in the list `EXPERIMENTS` of a module of this package; `setting.py` trains
with Graft's own code, `digits.py` and `photos.py` make the tasks. Rows go into the JSON file as they are measured, and
the table is written from it.
"""

import importlib
import pkgutil

from benchmarks.methods.form import Experiment

MEASURED = "benchmarks/methods/measured.json"
"""Where rows are kept, below the top folder."""


def experiments() -> list[Experiment]:
    """All of them, by method and in the order of their module.

    Raises:
        ValueError: two have the same name and method.
    """
    found: list[Experiment] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        if module != "__main__":
            found += getattr(importlib.import_module(f"{__name__}.{module}"), "EXPERIMENTS", [])
    keys = [experiment.key for experiment in found]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"experiments that are there twice: {', '.join(twice)}")
    return found
