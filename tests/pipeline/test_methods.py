"""Every transfer method through the whole pipeline: trained, gated, answered by a server as in process, pushed.

A method is a line in CASES; `test_matrix.py` has three of them with every kind of target, where each is stopped by a
gate and served from the store, too. All cases share the stages before `train` with those that read the same data.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from matrix_data import Material, newest
from workshop import Workshop

from graft.models.transfer import METHODS

pytestmark = pytest.mark.slow

TWO_DOMAINS = {"domain": {"column": "place", "target": "field"}}


@dataclasses.dataclass(frozen=True)
class Case:
    """A configuration.

    Attributes:
        transfer: the section.
        data: keys of the section `data` beside those of the pictures.
        sections: other sections.
        floor: of the accuracy, which the run reaches; a third would be chance.
        findings: what the training must have found out, by name.
        after: the case whose model it learns from.
    """

    transfer: Mapping[str, Any]
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sections: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    floor: float = 0.4
    findings: tuple[str, ...] = ()
    after: str | None = None


PROVEN = ("frozen", "fine_tune", "joint")
"""By `test_matrix.py`."""
DISTIL = {"method": "distil", "teacher": "runs/store-bss/case"}
HIDDEN = {"head": {"hidden": [16], "dropout": 0.0}}
DISTANCE = ("domain distance", "domain distance after")
CASES = {
    "bss": Case({"method": "bss", "epochs": 2, "learning_rate": 1e-3}),
    "coral": Case({"method": "coral"}, TWO_DOMAINS, findings=DISTANCE),
    "dann": Case({"method": "dann", "weight": 0.03}, TWO_DOMAINS, HIDDEN, findings=DISTANCE),
    "deep_coral": Case({"method": "deep_coral", "weight": [0, 1]}, TWO_DOMAINS, HIDDEN, findings=("weight", *DISTANCE)),
    "delta": Case({"method": "delta", "epochs": 2, "learning_rate": 1e-3}, findings=("channels held most",)),
    "distil": Case({**DISTIL, "epochs": 2, "learning_rate": 1e-3}, findings=("teacher",), after="bss"),
    "instance_weighting": Case(
        {"method": "instance_weighting", "weight": 0.5, "estimator": "classifier"},
        TWO_DOMAINS,
        findings=("effective sample size",),
    ),
    "instance_weighting_blind": Case(
        {"method": "instance_weighting", "labels": "source"}, TWO_DOMAINS, findings=("effective sample size",)
    ),
    "l2_sp": Case(
        {"method": "l2_sp", "epochs": 2, "learning_rate": 1e-3}, findings=("distance from the published weights",)
    ),
    "mk_mmd": Case({"method": "mk_mmd", "weight": 0.3}, TWO_DOMAINS, HIDDEN, findings=DISTANCE),
    "prune": Case({"method": "prune", "epochs": 3, "learning_rate": 1e-3, "every": 5}),
    "select": Case(
        {"method": "select", "candidates": 2, "epochs": 2, "learning_rate": 1e-3},
        findings=("layer groups transferred unchanged",),
    ),
    "standardise": Case({"method": "standardise"}, TWO_DOMAINS, findings=DISTANCE),
    "tradaboost": Case({"method": "tradaboost"}, TWO_DOMAINS, findings=("effective sample size", "L2 strength")),
}
"""By name; more than one of a method where its settings make another training of it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("methods")


def configure(folder: pathlib.Path, material: Material, name: str, floor: float) -> Workshop:
    case = CASES[name]
    content = {
        "name": "case",
        "data": {**material.data, **case.data},
        "input": material.input,
        "backbone": {"handle": str(material.backbone)},
        "transfer": dict(case.transfer),
        "train": {"epochs": 8, "learning_rate": 0.05, "batch_size": 16},
        "gates": {"accuracy": floor},
        "store": f"runs/store-{name}",
        **case.sections,
    }
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(content))
    return Workshop(folder, config)


def test_every_method_has_a_case():
    assert {case.transfer["method"] for case in CASES.values()} | {*PROVEN} == {*METHODS}


@pytest.mark.parametrize("name", CASES)
def test_a_method_is_trained_served_and_pushed(name, materials, folder):
    case, material, runs = CASES[name], materials["image"], folder / "runs"
    if case.after is not None and not (runs / f"store-{case.after}").exists():
        configure(folder, material, case.after, CASES[case.after].floor).again()
    outcome = configure(folder, material, name, case.floor).again()
    assert outcome.code == 0, outcome.stderr
    assert outcome.value["status"] == "passed" and outcome.value["model_version"] == 1
    # The stage asks a server of its own for what the model answers in process.
    gates = {gate["name"]: gate for gate in outcome.value["gates"]}
    assert gates["serving_parity"]["passed"] and gates["accuracy"]["value"] >= case.floor
    assert pathlib.Path(folder, outcome.value["report"]).is_file()
    told = json.loads((newest(runs, "train", "model_run") / "history.json").read_text())
    assert told["method"] == case.transfer["method"]
    assert set(case.findings) <= {finding["name"] for finding in told["findings"]}


def test_a_closed_gate_keeps_a_method_out_of_the_store(materials, folder):
    """A head of several votes in place of a linear one, which was pushed before."""
    material, store = materials["image"], folder / "runs" / "store-tradaboost" / "case"
    if not store.exists():
        configure(folder, material, "tradaboost", CASES["tradaboost"].floor).again()
    closed = configure(folder, material, "tradaboost", 1.0).again()
    assert closed.code == 1 and closed.value["status"] == "gate_closed"
    assert "accuracy is " in closed.value["reason"]
    assert json.loads((store / "CURRENT").read_text())["version"] == 1
