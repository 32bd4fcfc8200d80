"""`graft backbone list`: what can be named here, without a network being built."""

import json
import subprocess
import sys

import foreign_package
import keras
import pytest
import yaml

from graft.models import application_inputs
from graft.pipeline import cli

ZOO = """
from graft.models.backbone_facts import Facts
FACTS = {"tiny": Facts(parameters=500_000, feature_dim=8, image_size=(32, 48), value_range=(0.0, 1.0), licence="MIT")}
def resolve(name):
    raise AssertionError("nothing is resolved for a list")
"""


@pytest.fixture
def listed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments) -> dict[str, dict]:
        assert cli.main(["backbone", "list", *map(str, arguments), "--json"]) == 0
        return {row["handle"]: row for row in json.loads(capsys.readouterr().out)["backbones"]}

    return run


def write(path) -> None:
    """A `.keras` file, or the folder of something like a SavedModel: its content is not looked at."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".keras":
        path.write_bytes(bytes(2_000_000))
    else:
        path.mkdir()
        (path / "saved_model.pb").write_bytes(bytes(1_000_000))


def test_networks_of_keras_are_named_with_all_that_is_known(listed, capsys):
    rows = listed()
    assert set(rows) == {f"applications:{name}" for name in dir(keras.applications) if name[0].isupper()}
    assert rows["applications:MobileNetV2"] == {
        "handle": "applications:MobileNetV2",
        "from": "keras.applications",
        "parameters": 2_257_984,
        "bytes": 4 * 2_257_984,
        "input": {"kind": "image", "image_size": [224, 224], "value_range": [-1, 1]},
        "feature_dim": 1280,
        "licence": "Apache-2.0",
    }
    assert cli.main(["backbone", "list"]) == 0
    header, *lines, last = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "handle" and len(lines) == len(rows) and "graft backbone show" in last
    [line] = [" ".join(line.split()) for line in lines if "ResNet50 " in line]
    assert line.endswith("ResNet50 23.6 94 224x224 0 to 255 2048 MIT")


def test_local_ones_lie_in_backbones_or_are_named_by_configurations(listed, tmp_path):
    for place in ("backbones/b/1", "backbones/a.keras", "elsewhere/c", "elsewhere/d/e/f/too/deep"):
        write(tmp_path / place)
    (tmp_path / "backbones/b/1/nested").mkdir()
    (tmp_path / "backbones/b/1/nested/saved_model.pb").touch()
    (tmp_path / "configs").mkdir()
    for name, handle in (("one", "elsewhere/c"), ("two", "MobileNetV2"), ("three", "gone/1")):
        settings = {"name": name, "data": {"source": "image_folder", "path": "d"}, "backbone": {"handle": handle}}
        (tmp_path / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "configs" / "no_config.yaml").write_text("a: 1")
    rows = [row for row in listed().values() if row["from"] != "keras.applications"]
    assert [(row["handle"], row["from"], row["bytes"]) for row in rows] == [
        ("backbones/a.keras", "folder", 2_000_000),
        ("backbones/b/1", "folder", 1_000_000),
        ("elsewhere/c", "configs/one.yaml", 1_000_000),
        ("gone/1", "configs/three.yaml", None),
    ]
    rows = [row["handle"] for row in listed("--folder", "elsewhere").values() if row["from"] == "folder"]
    assert rows == ["elsewhere/c"]


def test_a_folder_that_is_none_is_told(listed, capsys):
    assert cli.main(["backbone", "list", "--folder", "nowhere"]) == 2
    assert "--folder 'nowhere' is no folder" in capsys.readouterr().err


def test_those_of_packages_are_listed(listed, tmp_path, monkeypatch):
    entries = {"graft.backbones": {"leaf": "leaf_zoo"}}
    foreign_package.install(tmp_path / "package", monkeypatch, "leaf-zoo", entries, ZOO)
    row = listed()["leaf:tiny"]
    assert row["from"] == "leaf" and row["input"]["image_size"] == [32, 48] and row["bytes"] == 2_000_000


def test_a_list_needs_neither_keras_nor_tensorflow(tmp_path):
    code = "import sys; from graft.pipeline import cli; cli.main(['backbone', 'list']);"
    code += "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=60)


def test_every_name_has_a_size_that_init_writes(listed):
    for handle, row in listed().items():
        assert row["input"] == application_inputs.input_settings(handle)
