"""What Kubeflow's driver hands over, mended: types, addresses, kinds of its own, numbers; and what goes back."""

import pathlib

import pytest

from graft.kubeflow import handover
from graft.models.errors import GraftError

EXAMPLES = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
SPEC = {
    "artifacts": {"examples": {"artifactType": EXAMPLES}},
    "parameters": {"count": {"parameterType": "NUMBER_INTEGER"}, "share": {"parameterType": "NUMBER_DOUBLE"}},
}


def given(**changes) -> dict:
    """As open-source Kubeflow fills it in."""
    artifact = {
        "name": "7",
        "uri": "minio://bucket/run/examples",
        "type": {"instanceSchema": ""},
        "metadata": {"span": 3},
    }
    return {
        "inputs": {
            "artifacts": {"examples": {"artifacts": [artifact | changes]}},
            "parameterValues": {"count": 3.0, "share": 2.0, "name": "x", "absent": None},
        },
        "outputs": {
            "artifacts": {
                "model": {"artifacts": [{"uri": "s3://b/m", "type": {"instanceSchema": "title: tfx.Model\n"}}]},
                "executor-logs": {"artifacts": [{"uri": "minio://b/l", "type": {"schemaTitle": "system.Artifact"}}]},
            },
            "outputFile": "/tmp/out.json",
        },
    }


def test_types_addresses_and_numbers_are_mended(monkeypatch):
    monkeypatch.delenv(handover.ROOT, raising=False)
    found = handover.mended(given(), SPEC)
    assert found["inputs"] == {
        "examples": [{"uri": "/minio/bucket/run/examples", "metadata": {"span": 3}, "type": EXAMPLES}]
    }
    assert list(found["outputs"]) == ["model"] and found["outputs"]["model"][0]["uri"] == "/s3/b/m"
    assert found["parameters"] == {"count": 3, "share": 2.0, "name": "x"}
    assert isinstance(found["parameters"]["count"], int) and isinstance(found["parameters"]["share"], float)


def test_what_is_graft_s_own_is_kept_apart(monkeypatch):
    """Parameters of the run fill the marks in the settings; verdicts of earlier stages are no inputs of its own."""
    monkeypatch.delenv(handover.ROOT, raising=False)
    task = given()
    task["inputs"]["parameterValues"] |= {"name": "of @graft.code@", "graft_code": "7", "graft_run": "r"}
    blessing = {"uri": "s3://b/blessing", "type": {"instanceSchema": ""}, "metadata": {"blessed": 0.0}}
    task["inputs"]["artifacts"]["graft_gate_quality_gate"] = {"artifacts": [blessing]}
    found = handover.mended(task, SPEC)
    assert found["parameters"]["name"] == "of 7" and found["run"] == {"code": "7", "run": "r"}
    assert set(found["inputs"]) == {"examples"}
    assert found["verdicts"] == {"quality_gate": {"uri": "/s3/b/blessing", "metadata": {"blessed": 0.0}}}
    task["inputs"]["parameterValues"]["name"] = "of @graft.backbone@"
    with pytest.raises(GraftError, match="name parameter 'backbone', which it was not given"):
        handover.mended(task, SPEC)


def test_an_input_that_is_not_what_was_written_is_found(tmp_path):
    (tmp_path / "x").write_text("1")
    artifact = {"uri": str(tmp_path), "metadata": handover.identity(str(tmp_path))}
    handover.check_whole("examples", artifact)
    (tmp_path / "y").touch()
    with pytest.raises(GraftError, match=r"input examples: .* is not what was written"):
        handover.check_whole("examples", artifact)
    with pytest.raises(GraftError, match=r"is not what was written"):
        handover.check_whole("examples", {**artifact, "uri": str(tmp_path / "none")})
    handover.check_whole("examples", {"uri": str(tmp_path), "metadata": {}})  # of a task that is not Graft's


def test_a_type_that_came_along_is_kept():
    kind = {"instanceSchema": "title: tfx.Special\n"}
    assert handover.mended(given(type=kind), SPEC)["inputs"]["examples"][0]["type"] == kind


def test_an_input_nobody_declared_is_refused():
    with pytest.raises(GraftError, match="input 'examples' is none of the component's; allowed: "):
        handover.mended(given(), {"artifacts": {"other": {"artifactType": EXAMPLES}}})


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://b/k/x", "/gcs/b/k/x"),
        ("minio://b/k", "/minio/b/k"),
        ("s3://b/k", "/s3/b/k"),
        ("/mnt/artifacts/k", "/mnt/artifacts/k"),
    ],
)
def test_local_paths_are_the_launchers(uri, path, monkeypatch):
    monkeypatch.delenv(handover.ROOT, raising=False)
    assert handover.local_path(uri) == pathlib.Path(path)


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(GraftError, match=r"artifact http://b/k: .* allowed: gs://, minio://, s3:// or a path"):
        handover.local_path("http://b/k")


def test_what_goes_back_names_no_place_and_holds_no_null():
    said = handover.told({"model": [("/minio/b/m", {"blessed": 1, "nothing": None})]})
    assert said == {"artifacts": {"model": {"artifacts": [{"metadata": {"blessed": 1}}]}}}


def test_empty_folders_get_a_file_and_others_none(tmp_path):
    (tmp_path / "a" / "empty").mkdir(parents=True)
    (tmp_path / "a" / "full").mkdir()
    (tmp_path / "a" / "full" / "x").write_text("x")
    handover.keep_empty_folders(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "a/empty/.kept",
        "a/full/x",
    ]
