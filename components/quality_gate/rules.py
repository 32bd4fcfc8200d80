"""From figures to gates: one function a kind of gate, all of them listed in `RULES`."""

from typing import Any

import numpy as np

from graft.models.gates import Gate

Figures = dict[str, Any]


def answers(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Every test image gets probabilities that are finite numbers; checked whatever the limits are."""
    return [at_most("invalid_answers", figures["candidate"]["invalid"], 0, "test images without finite probabilities")]


def floors(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Floors on the whole test split."""
    names = [name for name in ("accuracy", "macro_f1") if limits.get(name) is not None]
    return [at_least(name, figures["candidate"][name], limits[name]) for name in names]


def per_class(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Floors on precision and recall of each class; a floor for an unknown class closes the gate."""
    gates = []
    table = figures["candidate"]["per_class"]
    for metric in ("precision", "recall"):
        limit = limits.get(metric)
        if limit is None:
            continue
        wanted = limit if isinstance(limit, dict) else dict.fromkeys(table, limit)
        for name, floor in wanted.items():
            if name not in table:
                gates.append(
                    Gate(f"{metric}[{name}]", None, floor, False, f"no such class; classes: {', '.join(table)}")
                )
            elif table[name]["support"] or isinstance(limit, dict):
                gates.append(at_least(f"{metric}[{name}]", table[name][metric], floor))
    return gates


def calibration(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Ceiling on the expected calibration error, less what a perfectly calibrated model would score by chance."""
    if limits.get("calibration_error") is None:
        return []
    candidate = figures["candidate"]
    error, bias, (low, high) = (candidate[f"calibration_{name}"] for name in ("error", "bias", "interval"))
    detail = (
        f"error {error:.4f} less {bias:.4f}, what a perfectly calibrated model scores with {candidate['examples']} "
        f"images; 95 % interval {low:.4f} to {high:.4f}"
    )
    # Not Python's max, which would lose a NaN.
    return [at_most("calibration_error", float(np.maximum(error - bias, 0.0)), limits["calibration_error"], detail)]


def slices(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Floors in every slice that has enough examples; a column with no such slice closes the gate."""
    gates = []
    for column, wanted in (limits.get("slices") or {}).items():
        table = {k: v for k, v in figures["slices"].get(column, {}).items() if v["examples"] >= wanted["min_examples"]}
        if not table:
            detail = f"no slice of {column!r} has {wanted['min_examples']} test examples"
            gates.append(Gate(f"slice[{column}]", None, None, False, detail))
        for value, row in sorted(table.items()):
            for metric in ("accuracy", "macro_f1"):
                if wanted.get(metric) is not None:
                    gates.append(at_least(f"{metric}[{column}={value}]", row[metric], wanted[metric]))
    return gates


def baseline(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Not worse than the served model, and if asked for the best one so far, by more than luck and the tolerance."""
    if limits.get("baseline_tolerance") is None:
        return []
    rivals = [("baseline", "served", figures.get("baseline"))]
    if limits.get("baseline") == "best":
        rivals.append(("baseline_best", "best", figures.get("best")))
    return [_no_fall(name, kind, rival, limits["baseline_tolerance"]) for name, kind, rival in rivals if rival]


def _no_fall(name: str, kind: str, rival: dict[str, Any], tolerance: float) -> Gate:
    shared = rival["shared"]
    if not shared["examples"]:
        return Gate(name, None, tolerance, False, f"{kind} version {rival['version']} knows no class of the test split")
    low, high = shared["interval"]
    luck = "" if low > 0 or high < 0 else ": not distinguishable"
    detail = (
        f"{kind} version {rival['version']} is right on {shared['rival']:.4f} of {shared['examples']} test images of "
        f"the {shared['classes']} classes both know, this model on {shared['candidate']:.4f}; the fall is "
        f"{shared['gap']:+.4f} ({low:+.4f} to {high:+.4f}){luck}"
    )
    return at_most(name, shared["beyond_luck"], tolerance, detail)


def classes(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """The list of classes is the served model's, or has grown, or may be any."""
    served, allowed = figures.get("baseline"), limits.get("classes")
    if served is None or allowed == "any":
        return []
    added, removed = (sorted(served[name]) for name in ("added", "removed"))
    refused = removed if allowed == "grow" else added + removed
    detail = f"classes other than those of served version {served['version']}: "
    detail += "; ".join(f"{word} {', '.join(names)}" for word, names in (("new", added), ("gone", removed)) if names)
    if refused:
        detail += "; gates.classes says what may change"
    return [at_most("classes", len(refused), 0, detail if added or removed else "the same as the served model's")]


def model_size(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Ceiling on the size of the exported model."""
    if limits.get("model_size_mb") is None:
        return []
    return [at_most("model_size_mb", figures["model_size_mb"], limits["model_size_mb"])]


def negative_transfer(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Transferring must not be worse than not transferring (Wang et al. CVPR 2019: NTG > 0 is negative transfer)."""
    if limits.get("negative_transfer") is None:
        return []
    compared = figures["negative_transfer"]
    tolerance = limits["negative_transfer"]["tolerance"]
    return [at_most("negative_transfer", compared["beyond_luck"], tolerance, compared["statement"])]


RULES = (answers, floors, per_class, calibration, slices, baseline, classes, model_size, negative_transfer)


_TIE = 1e-9
"""A tie is met: 0.8 - 0.1 is 0.7000000000000001, and no gate may close on that."""


def at_least(name: str, value: float | None, limit: float, detail: str = "") -> Gate:
    """A gate that closes below `limit`; NaN closes it, and so does None: what was not measured."""
    return Gate(name, value, limit, value is not None and bool(value >= limit - _TIE), detail or "a floor")


def at_most(name: str, value: float | None, limit: float, detail: str = "") -> Gate:
    """A gate that closes above `limit`; NaN closes it, and so does None: what was not measured."""
    return Gate(name, value, limit, value is not None and bool(value <= limit + _TIE), detail or "a ceiling")


def judge(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Every gate the limits ask for."""
    return [gate for rule in RULES for gate in rule(figures, limits)]
