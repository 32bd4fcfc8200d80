"""Every kind of input and target with every method that fits: run, served over gRPC, and stopped by a gate."""

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
import yaml
from matrix_data import write_pictures, write_sentences
from small_inputs import publish_text_encoder
from workshop import SIDE, Workshop, write_backbone

from graft.serving.client import Client
from graft.serving.server import EmbeddedServer

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


@dataclasses.dataclass(frozen=True)
class Material:
    """Data and backbone of one kind of input."""

    data: dict[str, Any]
    input: dict[str, Any]
    backbone: pathlib.Path
    contents: list[bytes]
    name: str


@pytest.fixture(scope="module")
def materials(tmp_path_factory) -> dict[str, Material]:
    folder = tmp_path_factory.mktemp("matrix")
    pictures = write_pictures(folder / "pictures")
    sentences = write_sentences(folder / "sentences")
    publish_text_encoder(folder / "encoder")
    shares = {"split": {"eval": 0.25, "test": 0.25}}
    return {
        "image": Material(
            {"source": "csv", "path": str(pictures), **shares},
            {"kind": "image", "image_size": [SIDE, SIDE]},
            write_backbone(folder / "backbone"),
            [path.read_bytes() for path in sorted(pictures.parent.glob("*.png"))[:5]],
            "image_bytes",
        ),
        "text": Material(
            {"source": "csv", "path": str(sentences), **shares},
            {"kind": "text"},
            folder / "encoder",
            [b"a goal in the match", "août, 明日, rain".encode(), b"onion soup"],
            "text",
        ),
    }


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
    }
    config = folder / "case.yaml"
    config.write_text(yaml.safe_dump(content))
    return Workshop(folder, config)


@pytest.mark.parametrize(("kind", "target", "method"), CASES, ids=["-".join(case) for case in CASES])
def test_a_pipeline_runs_is_served_and_is_stopped(kind, target, method, materials, tmp_path):
    material = materials[kind]
    _, floors, beyond = TARGETS[target]
    case = configure(tmp_path, material, target, method, floors)
    outcome = case.again()
    assert outcome.code == 0, outcome.stderr
    assert outcome.value["status"] == "passed" and pathlib.Path(tmp_path, outcome.value["report"]).is_file()

    expected = in_process(case, material)
    with (
        EmbeddedServer(case.store) as server,
        Client(server.grpc_address, "case") as client,
    ):
        contents = np.array(material.contents, dtype=object)
        answered = client.predict({material.name: contents})
    assert set(answered) == set(expected)
    for name, values in expected.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(answered[name], values, rtol=1e-4, atol=1e-5)
        else:
            assert answered[name].tolist() == values.tolist(), name

    closed = configure(tmp_path, material, target, method, beyond).again()
    assert closed.code == 1 and closed.value["status"] == "gate_closed"
    assert f"{next(iter(beyond))} is " in closed.value["reason"]
    assert json.loads((case.store / "case" / "CURRENT").read_text())["version"] == 1


def in_process(case: Workshop, material: Material) -> dict[str, np.ndarray]:
    """What the export of the run answers without a server."""
    import tensorflow as tf

    model = next((case.folder / "runs/case/artifacts/train/model").glob("*/Format-Serving"))
    signature = tf.saved_model.load(str(model)).signatures["serving_default"]
    found = signature(**{material.name: tf.constant(material.contents)})
    return {name: value.numpy() for name, value in found.items()}
