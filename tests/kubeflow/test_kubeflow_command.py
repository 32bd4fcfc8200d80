"""`graft kubeflow compile`: what the configuration's section says, and what the command line says instead."""

import json

import pytest
import yaml

from graft.pipeline import cli, prepare
from graft.pipeline import config as configs

CONFIG = """
name: flowers
data: {source: csv, path: /data/labels.csv}
backbone: {handle: /data/backbone}
input: {value_range: [0, 1]}
root: /data/runs
store: /data/models
kubeflow:
  image: "registry.example/graft:2"
  pipeline_root: "s3://other/root"
  volumes: [{claim: a, mount: /data}]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "flowers.yaml"
    path.write_text(CONFIG)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "image", "root"),
    [
        ([], "registry.example/graft:2", "s3://other/root"),
        (["--set", "kubeflow.image=registry.example/graft:3"], "registry.example/graft:3", "s3://other/root"),
        (["--image", "g:4", "--pipeline-root", "gs://third/root"], "g:4", "gs://third/root"),
    ],
    ids=["section", "set", "options"],
)
def test_image_and_root(path, tmp_path, capsys, options, image, root):
    output = tmp_path / "pipeline.yaml"
    assert cli.main(["kubeflow", "compile", str(path), "-o", str(output), "--json", *options]) == 0
    assert json.loads(capsys.readouterr().out) == {"pipeline": str(output)}
    spec = next(yaml.safe_load_all(output.read_text()))
    executors = spec["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors} == {image}
    assert spec["defaultPipelineRoot"] == root


def test_a_wrong_key_of_the_section_is_one_line(path, tmp_path, capsys):
    path.write_text(CONFIG.replace("image:", "imge:"))
    assert cli.main(["kubeflow", "compile", str(path), "-o", str(tmp_path / "p.yaml")]) == 2
    assert "kubeflow.imge: unknown key" in capsys.readouterr().err


def test_the_section_changes_nothing_of_what_a_run_makes(path):
    keys = {
        prepare.run_key(configs.load(path, overrides), "data", "code", "backbone")
        for overrides in ([], ["kubeflow.image=other:1"])
    }
    assert len(keys) == 1
