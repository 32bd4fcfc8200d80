"""Feature extraction and the comparison with not transferring, on the data of the shared run."""

import json
import pathlib

import numpy as np
import pytest
from tfx.types import standard_artifacts

from graft.components.artifacts import Comparison, Features
from graft.components.features.executor import Executor, Parameters
from graft.components.negative_transfer import executor as negative_transfer
from graft.components.quality_gate import rules
from graft.models.backbone import load_backbone
from graft.models.errors import GraftError
from graft.models.examples import read_examples, split_files
from graft.models.features import check_same_backbone
from graft.models.options import BackboneOptions
from graft.models.settings import Settings
from graft.pipeline.prepare import backbone_identity

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs(workshop, first_run) -> dict:
    """Examples and transform graph of the first run."""
    artifacts = workshop.folder / "runs" / "shapes" / "artifacts"
    examples, graph = standard_artifacts.Examples(), standard_artifacts.TransformGraph()
    for artifact, folder in ((examples, "ingest/examples"), (graph, "transform/transform_graph")):
        artifact.uri = str(min((artifacts / folder).iterdir(), key=lambda path: int(path.name)))
    return {"examples": [examples], "transform_graph": [graph]}


@pytest.fixture(scope="module")
def backbone(workshop) -> dict:
    handle = str(workshop.config.parent / "backbone")
    return {"handle": handle, "image_size": [24, 24], "value_range": [0, 1], "feature_layer": None}


def extract(inputs, backbone, folder, splits, identity="") -> Features:
    features = Features()
    features.uri = str(folder)
    given = Parameters(backbone=backbone, identity=identity, splits=splits)
    Executor().Do(inputs, {"features": [features]}, given.dump())
    return features


@pytest.fixture(scope="module")
def features(inputs, backbone, tmp_path_factory) -> Features:
    """Of all three splits."""
    return extract(inputs, backbone, tmp_path_factory.mktemp("features"), ["train", "eval", "test"])


def test_rows_keep_the_order_of_the_shards(inputs, features):
    classes = json.loads((pathlib.Path(features.uri) / "classes.json").read_text())
    assert sorted(classes) == ["brick", "grass", "sea"]
    for split in ("train", "eval", "test"):
        files = split_files(inputs["examples"][0].uri, split)
        rows = list(read_examples(files, ("label", "sha256")))
        folder = pathlib.Path(features.uri) / f"Split-{split}"
        vectors, labels = np.load(folder / "features.npy"), np.load(folder / "labels.npy")
        assert vectors.shape == (len(rows), 32) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
        assert labels.dtype == np.int64 and [classes[i] for i in labels] == [row["label"][0] for row in rows]
        assert np.load(folder / "sha256.npy").tolist() == [row["sha256"] for row in rows]


def test_the_artifact_says_which_backbone_made_it(features, backbone):
    check_same_backbone(features.uri, load_backbone(backbone["handle"], (24, 24), (0, 1)))
    made = json.loads((pathlib.Path(features.uri) / "backbone.json").read_text())
    assert made["handle"] == backbone["handle"] and made["identity"] == backbone_identity(
        BackboneOptions.model_validate(backbone)
    )


def test_a_backbone_that_changed_since_the_start_is_refused(inputs, backbone, tmp_path):
    known = backbone_identity(BackboneOptions.model_validate(backbone))
    extract(inputs, backbone, tmp_path / "same", ["eval"], known)
    with pytest.raises(GraftError, match=r"changed during the run: its sha256 was 0+ at the start"):
        extract(inputs, backbone, tmp_path / "other", ["eval"], "0" * 64)
    assert not (tmp_path / "other").exists()


def test_an_unknown_split_is_refused(inputs, backbone, tmp_path):
    with pytest.raises(GraftError, match="no shards of split 'holdout'"):
        extract(inputs, backbone, tmp_path, ["holdout"])


@pytest.fixture(scope="module")
def compare(inputs, features, backbone, tmp_path_factory):
    """compare(epochs, learning_rate) -> the negative-transfer gate and comparison.json."""

    def run(epochs: int, learning_rate: float):
        comparison = Comparison()
        comparison.uri = str(tmp_path_factory.mktemp("comparison"))
        settings = Settings(
            backbone=backbone,
            head={"solver": "adam"},
            train={"epochs": epochs, "learning_rate": learning_rate, "batch_size": 16},
            model_name="shapes",
        )
        given = negative_transfer.Parameters(custom_config=settings, seeds=3, references=["raw"])
        outputs = {"comparison": [comparison]}
        negative_transfer.Executor().Do({**inputs, "features": [features]}, outputs, given.dump())
        found = json.loads(pathlib.Path(comparison.uri, "comparison.json").read_text())
        (gate,) = rules.negative_transfer({"negative_transfer": found}, {"negative_transfer": {"tolerance": 0.0}})
        return gate, found

    return run


def test_a_head_that_learns_nothing_closes_the_negative_transfer_gate(compare):
    gate, found = compare(epochs=1, learning_rate=1e-7)
    assert found["seeds"] == [0, 1, 2] and set(found["gap"]) == {"raw_head", "logistic_regression"}
    assert not gate.passed and gate.value > 0.2
    assert "the source hurts" in gate.detail


def test_the_gap_is_that_of_the_best_reference(compare):
    gate, found = compare(epochs=15, learning_rate=0.1)
    accuracy = {name: np.mean(values) for name, values in found["accuracy"].items()}
    gap = found["gap"][found["best_reference"]]
    assert gap["mean"] == pytest.approx(accuracy[found["best_reference"]] - accuracy["transferred"])
    assert (
        gate.value == found["beyond_luck"] == max(found["beyond_luck"], 0 if gap["interval"][0] <= 0 else gap["mean"])
    )
    assert gate.passed is bool(gate.value <= 0)
