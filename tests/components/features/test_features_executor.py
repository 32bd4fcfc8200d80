"""Feature extraction and the comparison with not transferring, on the data of the shared run."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from small_inputs import WIDTH, pictures, publish_text_encoder, texts
from tfx.types import standard_artifacts

from graft.components.artifacts import Comparison, Features
from graft.components.features.executor import Executor, Parameters
from graft.components.negative_transfer import executor as negative_transfer
from graft.components.quality_gate import rules
from graft.models.backbone import load_backbone
from graft.models.errors import GraftError
from graft.models.examples import build, read_examples, split_files
from graft.models.features import check_same_backbone
from graft.models.options import BackboneOptions
from graft.models.settings import Settings
from graft.models.targets import label
from graft.pipeline.prepare import backbone_identity

PICTURES = pictures((24, 24))
LABEL = label.Options()


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
    return {"handle": handle, "feature_layer": None}


def extract(inputs, backbone, folder, splits, identity="") -> Features:
    features = Features()
    features.uri = str(folder)
    given = Parameters(backbone=backbone, input=PICTURES.options, target=LABEL, identity=identity, splits=splits)
    Executor().Do(inputs, {"features": [features]}, given.dump())
    return features


@pytest.fixture(scope="module")
def features(inputs, backbone, tmp_path_factory) -> Features:
    """Of all three splits."""
    return extract(inputs, backbone, tmp_path_factory.mktemp("features"), ["train", "eval", "test"])


@pytest.mark.slow
def test_rows_keep_the_order_of_the_shards(inputs, features):
    classes = json.loads((pathlib.Path(features.uri) / "names.json").read_text())
    assert sorted(classes) == ["brick", "grass", "sea"]
    for split in ("train", "eval", "test"):
        files = split_files(inputs["examples"][0].uri, split)
        rows = list(read_examples(files, ("label", "sha256")))
        folder = pathlib.Path(features.uri) / f"Split-{split}"
        vectors, labels = np.load(folder / "features.npy"), np.load(folder / "labels.npy")
        assert vectors.shape == (len(rows), 32) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
        assert labels.dtype == np.int64 and [classes[i] for i in labels] == [row["label"][0] for row in rows]
        assert np.load(folder / "sha256.npy").tolist() == [row["sha256"] for row in rows]


@pytest.mark.slow
def test_the_artifact_says_which_backbone_made_it(features, backbone):
    check_same_backbone(features.uri, load_backbone(backbone["handle"], PICTURES))
    made = json.loads((pathlib.Path(features.uri) / "backbone.json").read_text())
    assert made["handle"] == backbone["handle"] and made["identity"] == backbone_identity(
        BackboneOptions.model_validate(backbone)
    )


@pytest.mark.slow
def test_a_backbone_that_changed_since_the_start_is_refused(inputs, backbone, tmp_path):
    known = backbone_identity(BackboneOptions.model_validate(backbone))
    extract(inputs, backbone, tmp_path / "same", ["eval"], known)
    with pytest.raises(GraftError, match=r"changed during the run: its sha256 was 0+ at the start"):
        extract(inputs, backbone, tmp_path / "other", ["eval"], "0" * 64)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
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
            input=PICTURES.options,
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


@pytest.mark.slow
def test_a_head_that_learns_nothing_closes_the_negative_transfer_gate(compare):
    gate, found = compare(epochs=1, learning_rate=1e-7)
    assert found["seeds"] == [0, 1, 2] and set(found["gap"]) == {"raw_head", "raw_linear_head"}
    assert not gate.passed and gate.value > 0.2
    assert "the source hurts" in gate.detail


@pytest.mark.slow
def test_the_gap_is_that_of_the_best_reference(compare):
    gate, found = compare(epochs=15, learning_rate=0.1)
    score = {name: np.mean(values) for name, values in found["scores"].items()}
    gap = found["gap"][found["best_reference"]]
    assert gap["mean"] == pytest.approx(score[found["best_reference"]] - score["transferred"])
    assert (
        gate.value == found["beyond_luck"] == max(found["beyond_luck"], 0 if gap["interval"][0] <= 0 else gap["mean"])
    )
    assert gate.passed is bool(gate.value <= 0)


@pytest.fixture
def reviews(tmp_path):
    """Texts of two classes with a vocabulary and an encoder; `reviews(rows)` extracts rows of (text, label, more)."""
    publish_text_encoder(tmp_path / "encoder")
    assets = tmp_path / "graph" / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (assets / "label").write_text("bad\ngood\n")
    graph, examples, features = standard_artifacts.TransformGraph(), standard_artifacts.Examples(), Features()
    for artifact, name in ((graph, "graph"), (examples, "examples"), (features, "features")):
        artifact.uri = str(tmp_path / name)

    def made(rows) -> pathlib.Path:
        (tmp_path / "examples" / "Split-train").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(tmp_path / "examples" / "Split-train" / "part-0")) as writer:
            for number, (text, label, more) in enumerate(rows):
                writer.write(build(text.encode(), (label,), "reviews.csv", bytes([number]) * 32, {}, **more))
        encoder = {"handle": str(tmp_path / "encoder")}
        given = Parameters(backbone=encoder, input=texts().options, target=LABEL, splits=["train"])
        inputs = {"examples": [examples], "transform_graph": [graph]}
        Executor().Do(inputs, {"features": [features]}, given.dump())
        return tmp_path / "features" / "Split-train"

    return made


def test_texts_with_domain_and_weight_keep_them_row_by_row(reviews):
    folder = reviews(
        [
            ("fine", "good", {"domain": "source", "weight": 2.0}),
            ("it broke at once", "bad", {"domain": "target", "weight": 0.5}),
        ]
    )
    assert np.load(folder / "features.npy").shape == (2, WIDTH)
    assert np.load(folder / "labels.npy").tolist() == [1, 0]
    assert np.load(folder / "domains.npy").tolist() == [b"source", b"target"]
    weights = np.load(folder / "weights.npy")
    assert weights.dtype == np.float32 and weights.tolist() == [2.0, 0.5]


def test_names_and_groups_are_kept_for_who_looks_at_labels(reviews):
    groups = ("a" * 200, "", "a" * 200, "b")
    folder = reviews([(f"fine {group[:1]}", "good", {"group": group}) for group in groups])
    assert json.loads((folder / "files.json").read_text()) == ["reviews.csv"] * 4
    first, none, again, other = np.load(folder / "groups.npy").tolist()
    assert first == again != other and none == b"" and len(first) == len(other) == 64


def test_what_the_examples_do_not_have_is_not_there(reviews):
    folder = reviews([("fine", "good", {})])
    assert sorted(path.name for path in folder.iterdir()) == ["features.npy", "files.json", "labels.npy", "sha256.npy"]
    assert json.loads((folder.parent / "names.json").read_text()) == ["bad", "good"]


def test_a_label_that_is_no_class_is_refused(reviews):
    with pytest.raises(GraftError, match=r"split 'train': label 'so-so' is not one of the classes bad, good"):
        reviews([("hm", "so-so", {})])
