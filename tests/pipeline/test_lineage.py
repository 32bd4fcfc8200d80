"""What `graft lineage` says of a version."""

import json
import subprocess
import sys

import pytest
from metadata_writer import MetadataWriter

from graft.models.errors import GraftError
from graft.pipeline.lineage import describe_lineage, describe_run, describe_runs
from graft.pipeline.metadata import Metadata

CONFIG = {
    "name": "demo",
    "transfer": {"method": "frozen"},
    "head": {"hidden": [], "dropout": 0.2},
    "train": {"epochs": 5},
}
FIGURES = {
    "candidate": {"accuracy": 0.75, "macro_f1": 0.7, "calibration_error": 0.1, "examples": 40, "confusion": [[1]]},
    "baseline": {"version": 1, "accuracy": 0.7, "classes": ["a", "b"]},
}
GATE = {"name": "accuracy", "value": 0.75, "limit": 0.7, "passed": True, "detail": "a floor"}
SUMMARY = {"used": {"train": {"a": 3, "b": 4}, "test": {"a": 1, "<script>\x1b[31m": 1}}, "rejected_count": 2}


@pytest.fixture
def root(tmp_path):
    """Run-2 took ingest from run-1's cache and pushed version 2."""
    writer = MetadataWriter(tmp_path)
    examples = writer.artifact("Examples", _folder(tmp_path, "examples"))
    rejected = writer.artifact("Rejected", _folder(tmp_path, "rejected", {"summary.json": SUMMARY}))
    data = {"source": "image_folder", "path": "/data/pictures"}
    made = {"examples": examples, "rejected": rejected}
    writer.execution("run-1", "ingest", made, data=data, fingerprint="f" * 64, code="c" * 64)
    writer.execution("run-2", "ingest", made, state="CACHED", data=data, fingerprint="f" * 64, code="c" * 64)
    features = writer.artifact("Features", _folder(tmp_path, "features"))
    backbone = {"handle": "/backbones/b", "identity": "b" * 64, "image_size": [8, 8]}
    writer.execution("run-2", "features", {"features": features}, {"examples": examples}, backbone=backbone)
    quality = writer.artifact("Quality", _folder(tmp_path, "quality", {"figures.json": FIGURES}))
    blessing = writer.artifact("ModelBlessing", _folder(tmp_path, "blessing", {"gates.json": [GATE]}))
    writer.execution("run-2", "quality_gate", {"quality": quality, "blessing": blessing})
    pushed = writer.artifact("PushedModel", "/p", pushed_version="2", pushed_destination="/store/demo/2")
    writer.execution("run-2", "push", {"pushed_model": pushed}, store_id="s", metadata={"config": CONFIG})
    return tmp_path


def _folder(root, name, files=None):
    folder = root / name
    folder.mkdir()
    for file, content in (files or {}).items():
        (folder / file).write_text(json.dumps(content))
    return str(folder)


def test_value_tells_what_made_the_version(root):
    value, _ = describe_lineage(Metadata(root), "2")
    assert json.loads(json.dumps(value)) == value
    assert (value["version"], value["run"], value["destination"]) == (2, "run-2", "/store/demo/2")
    assert value["pushed"].endswith("+00:00")
    assert value["data"] == {
        "source": "image_folder",
        "path": "/data/pictures",
        "fingerprint": "f" * 64,
        "counts": SUMMARY["used"],
        "examples": {"train": 7, "test": 2},
        "rejected": 2,
        "left_out": {},
    }
    assert value["code"] == "c" * 64
    assert value["backbone"] == {"handle": "/backbones/b", "identity": "b" * 64}
    assert value["config"] == CONFIG
    assert value["metrics"] == {"accuracy": 0.75, "macro_f1": 0.7, "calibration_error": 0.1, "examples": 40}
    assert value["baseline"] == {"version": 1, "accuracy": 0.7}
    assert value["gates"] == [GATE]
    assert [(s["stage"], s["run"], s["execution"]) for s in value["stages"]] == [
        ("ingest", "run-1", 1),
        ("features", "run-2", 3),
        ("quality_gate", "run-2", 4),
        ("push", "run-2", 5),
    ]
    assert value["stages"][0]["artifacts"] == {"examples": str(root / "examples"), "rejected": str(root / "rejected")}


def test_text_is_the_same_for_people(root):
    _, text = describe_lineage(Metadata(root), "2")
    for part in (
        "demo version 2",
        "/data/pictures",
        "train 7, test 2; 2 rejected",
        "f" * 64,
        "c" * 64,
        "/backbones/b",
        "accuracy 0.75, macro_f1 0.7",
        "version 1, accuracy 0.7000",
        "open    accuracy is 0.75, limit 0.7",
        f"examples: {root / 'examples'}",
    ):
        assert part in text
    assert " UTC" in text
    assert "\x1b" not in text


def test_artifacts_that_were_deleted_since_are_said_to_be(root):
    (root / "rejected" / "summary.json").unlink()
    (root / "quality" / "figures.json").unlink()
    (root / "blessing" / "gates.json").unlink()
    value, text = describe_lineage(Metadata(root), "2")
    assert (value["metrics"], value["gates"], value["data"]["counts"]) == (None, [], None)
    assert value["data"]["fingerprint"] == "f" * 64
    assert text.count("no longer on disk") == 4


def test_broken_artifact_is_an_error_that_names_it(root):
    (root / "quality" / "figures.json").write_text("{")
    with pytest.raises(GraftError, match=r"figures.json: cannot be read"):
        describe_lineage(Metadata(root), "2")


def test_version_that_was_never_pushed(root):
    with pytest.raises(GraftError, match="no push of version '1'; pushed versions: 2"):
        describe_lineage(Metadata(root), "1")


def test_run_that_did_not_get_far(root):
    described = describe_run(Metadata(root).work("run-1"))
    assert described["backbone"] is None
    assert described["data"]["path"] == "/data/pictures"
    assert [s["stage"] for s in described["stages"]] == ["ingest"]
    assert describe_run([])["data"] is None


def test_a_run_that_ended_before_its_first_stage_has_a_row(root):
    for name, content in (("run-1", None), ("run-1b", {"status": "interrupted"}), ("run-3", None)):
        (root / "runs" / name).mkdir(parents=True)
        if content:
            (root / "runs" / name / "run.json").write_text(json.dumps(content))
    rows = describe_runs(root, Metadata(root))
    assert [row["run"] for row in rows] == ["run-1", "run-1b", "run-2", "run-3"]
    assert [row["status"] for row in rows][1::2] == ["interrupted", "died"] and rows[1]["stages"] == 0
    assert [row["run"] for row in describe_runs(root, None)] == ["run-1", "run-1b", "run-3"]


@pytest.mark.slow
def test_needs_neither_tensorflow_nor_tfx(root):
    code = "import pathlib, sys; from graft.pipeline.metadata import Metadata\n"
    code += "from graft.pipeline.lineage import describe_lineage\n"
    code += "describe_lineage(Metadata(pathlib.Path(sys.argv[1])), '2')\n"
    code += "print({'tensorflow', 'tfx', 'apache_beam', 'keras'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
