"""The compiled pipeline: equal to the golden file, and nothing in it that open-source Kubeflow refuses.

Not covered: that a cluster runs it; `test_stand_in.py` runs it without one. To renew the golden file after a change
that is meant: `GRAFT_RENEW_GOLDEN=1 python -m pytest tests/kubeflow`.
"""

import copy
import os
import pathlib

import pytest
import yaml

from graft.kubeflow.check import check_spec
from graft.kubeflow.compile import compile_pipeline, name_for_argo
from graft.models.errors import GraftError
from graft.pipeline import config as configs

GOLDEN = pathlib.Path(__file__).parent / "golden" / "pipeline.yaml"


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> dict:
    raw = {
        "name": "flowers",
        "data": {"source": "csv", "path": "/data/flowers/labels.csv", "slices": ["camera"]},
        "backbone": {"handle": "/data/backbone/1", "image_size": [224, 224], "value_range": [0, 1]},
        "transfer": {"method": "fine_tune", "unfreeze": 0.5},
        "gates": {"accuracy": 0.8, "negative_transfer": {"seeds": 4}},
        "store": "/store",
        "root": "/runs",
    }
    output = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(configs.parse(raw, "test"), output, "registry.example/graft:1")
    return yaml.safe_load(output.read_text())


@pytest.mark.parametrize("path", sorted((pathlib.Path(__file__).parents[2] / "configs").glob("*.yaml")), ids=str)
def test_every_config_of_the_project_compiles(path, tmp_path, monkeypatch):
    """TFX takes names in small letters, digits and '-' only; the model keeps its own."""
    monkeypatch.setenv("GRAFT_DATA", "/data")
    config = configs.load(path, ["name=My.Fashion_1"])
    compile_pipeline(config, tmp_path / "pipeline.yaml", "registry.example/graft:1")
    spec = yaml.safe_load((tmp_path / "pipeline.yaml").read_text())
    assert spec["pipelineInfo"]["name"] == "my-fashion-1"
    push = spec["root"]["dag"]["tasks"]["push"]["inputs"]["parameters"]
    assert push["model_name"]["runtimeValue"]["constant"] == "My.Fashion_1"


@pytest.mark.parametrize("root", ["/mnt/artifacts", "http://x/y", "minio://"])
def test_a_root_that_the_launcher_does_not_know_is_refused(root, tmp_path):
    config = configs.parse({"name": "x", "data": {"source": "csv", "path": "p"}, "backbone": {"handle": "b"}}, "test")
    with pytest.raises(GraftError, match=rf"kubeflow\.pipeline_root: received {root}; allowed: .* minio://BUCKET/"):
        compile_pipeline(config, tmp_path / "pipeline.yaml", "i", root)


def test_equals_the_golden_file(spec):
    stripped = copy.deepcopy(spec)
    stripped.pop("sdkVersion")  # the only thing that moves with TFX
    if os.environ.get("GRAFT_RENEW_GOLDEN"):
        GOLDEN.write_text(yaml.safe_dump(stripped, sort_keys=True))
    assert stripped == yaml.safe_load(GOLDEN.read_text())


def test_every_stage_is_a_container_with_a_name_argo_takes(spec):
    names = ["ingest", "statistics", "schema", "validate", "data_gate", "transform", "features", "train"]
    names += ["predict", "evaluate", "negative_transfer", "quality_gate", "serving_check", "push"]
    assert sorted(spec["root"]["dag"]["tasks"]) == sorted(name.replace("_", "-") for name in names)
    assert all(set(executor) == {"container"} for executor in spec["deploymentSpec"]["executors"].values())


def test_the_gate_stands_before_all_that_learns(spec):
    tasks = spec["root"]["dag"]["tasks"]
    assert "data-gate" in tasks["transform"]["dependentTasks"]
    assert {"quality-gate", "serving-check"} <= set(tasks["push"]["dependentTasks"])


def test_own_artifact_types_can_be_imported_by_their_schema_title(spec):
    from tfx.utils import import_utils

    titles = {
        yaml.safe_load(output["artifactType"]["instanceSchema"])["title"]
        for component in spec["components"].values()
        for output in component.get("outputDefinitions", {}).get("artifacts", {}).values()
    }
    own = {title for title in titles if title.startswith("graft.")}
    assert own >= {"graft.Rejected", "graft.Features", "graft.Quality", "graft.Comparison"}
    assert {import_utils.import_class_by_path(title).TYPE_NAME for title in own} == own


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (lambda spec: spec.update(schemaVersion="2.0.0"), "2.1.0 only"),
        (
            lambda spec: spec["deploymentSpec"]["executors"]["train_executor"].update(resolver={}),
            "cannot run a resolver",
        ),
        (lambda spec: spec["root"]["dag"]["tasks"].update(a_b={"componentRef": {"name": "train"}}), "Argo allows"),
        (lambda spec: spec["components"].pop("train"), "has no executor"),
        (lambda spec: spec["root"]["dag"]["tasks"]["push"]["dependentTasks"].append("tune"), "is no task"),
    ],
)
def test_refuses_what_kubeflow_refuses(spec, mend, message):
    broken = copy.deepcopy(spec)
    mend(broken)
    with pytest.raises(GraftError, match=message):
        check_spec(broken)


def test_renaming_twice_changes_nothing_more(spec):
    again = copy.deepcopy(spec)
    name_for_argo(again)
    assert again == spec


def test_output_must_be_yaml(tmp_path):
    raw = {"name": "x", "data": {"source": "image_folder", "path": "/d"}, "backbone": {"handle": "/b"}}
    with pytest.raises(GraftError, match=r"must end in \.yaml"):
        compile_pipeline(configs.parse(raw, "test"), tmp_path / "pipeline.json", "graft:1")
