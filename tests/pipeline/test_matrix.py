"""Every kind of input and target with every method that fits: run, served over gRPC, and stopped by a gate.

Cases that read the same data take the stages before `train` from the cache of one root; each has a store of its own.
"""

import functools
import json
import pathlib
from collections.abc import Callable

import pytest
import yaml
from matrix_data import Material, assert_served, newest
from workshop import Workshop

pytestmark = pytest.mark.slow

TARGETS = {
    "label": ({"kind": "label"}, {"accuracy": 0.4}, {"accuracy": 1.0}),
    "labels": ({"kind": "labels"}, {"mean_average_precision": 0.4}, {"mean_average_precision": 1.0}),
    "numbers": ({"kind": "numbers", "columns": ["light", "count"]}, {"r2": 0.1}, {"mean_absolute_error": 1e-6}),
}
METHODS = {
    "frozen": {"method": "frozen"},
    "fine_tune": {"method": "fine_tune", "epochs": 2, "learning_rate": 1e-3},
    "joint": {"method": "joint", "weight": 0.5},
}
CASES = [("image", target, method) for target in TARGETS for method in METHODS] + [("text", "label", "frozen")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Callable[..., pathlib.Path]:
    """`folders(kind, target, two_domains)` is the folder of the cases that read the same data."""
    return functools.cache(lambda *read: tmp_path_factory.mktemp("case"))


def configure(folder: pathlib.Path, material: Material, target: str, method: str, gates: dict[str, float]) -> Workshop:
    content = {
        "name": "case",
        "data": material.data | ({"domain": {"column": "place", "target": "field"}} if method == "joint" else {}),
        "input": material.input,
        "target": TARGETS[target][0],
        "backbone": {"handle": str(material.backbone)},
        "transfer": METHODS[method],
        "train": {"epochs": 8, "learning_rate": 0.05, "batch_size": 16},
        "gates": gates,
        "store": f"runs/store-{method}",
    }
    config = folder / f"{method}.yaml"
    config.write_text(yaml.safe_dump(content))
    return Workshop(folder, config)


@pytest.mark.parametrize(("kind", "target", "method"), CASES, ids=["-".join(case) for case in CASES])
def test_a_pipeline_runs_is_served_and_is_stopped(kind, target, method, materials, folders):
    material, folder = materials[kind], folders(kind, target, method == "joint")
    _, floors, beyond = TARGETS[target]
    store = folder / "runs" / f"store-{method}"
    outcome = configure(folder, material, target, method, floors).again()
    assert outcome.code == 0, outcome.stderr
    assert outcome.value["status"] == "passed" and pathlib.Path(folder, outcome.value["report"]).is_file()
    told = json.loads((newest(folder / "runs", "train", "model_run") / "history.json").read_text())
    assert told["method"] == METHODS[method]["method"]

    assert_served(folder / "runs", store, material)

    closed = configure(folder, material, target, method, beyond).again()
    assert closed.code == 1 and closed.value["status"] == "gate_closed"
    assert f"{next(iter(beyond))} is " in closed.value["reason"]
    assert json.loads((store / "case" / "CURRENT").read_text())["version"] == 1
