"""From figures to gates, for any target: one function a kind of gate, all of them listed in `RULES`.

What a target limits itself (`accuracy`, `r2`) is its own business: `Target.rules`.
"""

import dataclasses
from typing import Any

from graft.models.examples import SOURCE_DOMAIN
from graft.models.gates import Gate, at_most, within
from graft.models.targets.base import Target

Figures = dict[str, Any]

ON_SOURCE = "on test examples of the source domain, for none of the target domain has a label"


def slices(target: Target, figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Limits in every slice that has enough examples; a column with no such slice closes the gate."""
    gates = []
    for column, wanted in (limits.get("slices") or {}).items():
        table = {k: v for k, v in figures["slices"].get(column, {}).items() if v["examples"] >= wanted["min_examples"]}
        if not table:
            detail = f"no slice of {column!r} has {wanted['min_examples']} test examples"
            gates.append(Gate(f"slice[{column}]", None, None, False, detail))
        for value, row in sorted(table.items()):
            for name, higher_is_better in target.slice_columns.items():
                if wanted.get(name) is not None:
                    gates.append(within(f"{name}[{column}={value}]", row[name], wanted[name], higher_is_better))
    return gates


def baseline(figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Not worse than the served model, and if asked for the best one so far, by more than luck and the tolerance."""
    if limits.get("baseline_tolerance") is None:
        return []
    rivals = [("baseline", "served", figures.get("baseline"))]
    if limits.get("baseline") == "best":
        rivals.append(("baseline_best", "best", figures.get("best")))
    return [_no_fall(name, kind, rival, limits["baseline_tolerance"]) for name, kind, rival in rivals if rival]


def _no_fall(name: str, kind: str, rival: Figures, tolerance: float) -> Gate:
    detail = f"{kind} version {rival['version']} {rival['statement']}"
    return at_most(name, rival["beyond_luck"], tolerance, detail)


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


def has_floor(target: Target, limits: dict[str, Any]) -> bool:
    """Whether any limit holds a figure of the candidate itself, over all or in slices: else it is compared at most."""
    slices = (limits.get("slices") or {}).values()
    held = [limits.get(name) for name in target.floors]
    held += [wanted.get(name) for wanted in slices for name in target.slice_columns]
    return any(limit is not None and limit != {} for limit in held)


RULES = (baseline, model_size, negative_transfer)


def judge(target: Target, figures: Figures, limits: dict[str, Any]) -> list[Gate]:
    """Every gate the limits ask for."""
    served = figures.get("baseline")
    found = [
        *target.rules(figures["candidate"], limits, served if served and served["comparable"] else None),
        *slices(target, figures, limits),
        *(gate for rule in RULES for gate in rule(figures, limits)),
    ]
    if figures.get("domain") != SOURCE_DOMAIN:
        return found
    return [dataclasses.replace(gate, detail=f"{gate.detail}; {ON_SOURCE}") for gate in found]
