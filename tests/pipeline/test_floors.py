"""Limits to begin with: `graft init` writes them, and a configuration that has floors needs none."""

import json

import pytest
import yaml

from graft.components.quality_gate.rules import has_floor
from graft.models.targets import make_target
from graft.pipeline import config as configs
from graft.pipeline import floors
from graft.pipeline.cli import main


def config(path="p", **gates):
    raw = {
        "name": "x",
        "data": {"source": "image_folder", "path": str(path)},
        "backbone": {"handle": "b"},
    }
    return configs.parse(raw | {"gates": gates}, "test")


@pytest.fixture
def photos(tmp_path):
    for name, count in (("cat", 60), ("dog", 90)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(b"%d" % number)
    return tmp_path / "photos"


def test_init_writes_floors_for_the_data_that_is_there(photos, tmp_path, capsys):
    path = tmp_path / "pets.yaml"
    assert main(["init", str(path), "--data", str(photos), "--json"]) == 0
    written = yaml.safe_load(path.read_text())["gates"]
    assert 0.6 < written["accuracy"] < 0.9 and written["recall"] == 0.1
    assert json.loads(capsys.readouterr().out)["floors"] == {key: written[key] for key in ("accuracy", "recall")}
    assert has_floor(make_target(configs.load(path).target), written)


def test_init_says_why_it_proposes_none(tmp_path, capsys):
    path = tmp_path / "pets.yaml"
    assert main(["init", str(path), "--data", str(tmp_path / "none")]) == 0
    assert "no floors are proposed under gates: data.path" in capsys.readouterr().out
    assert yaml.safe_load(path.read_text())["gates"]["accuracy"] is None


@pytest.mark.parametrize(
    ("gates", "held"),
    [
        *(({}, False), ({"baseline_tolerance": 0.1}, False), ({"recall": {}}, False), ({"model_size_mb": 5}, False)),
        *(({"accuracy": 0.5}, True), ({"recall": {"cat": 0.5}}, True)),
    ],
)
def test_what_counts_as_a_floor(gates, held):
    counts, examples = {"train": {"cat": 80, "dog": 20}}, {"train": 80, "test": 20}
    assert (floors.proposed(config(**gates), counts, examples) is None) == held


def test_a_floor_of_slices_is_one():
    target = make_target(config().target)
    assert has_floor(target, {"slices": {"camera": {"min_examples": 5, "accuracy": 0.5}}})
    assert not has_floor(target, {"slices": {"camera": {"min_examples": 5, "accuracy": None}}})


def test_limits_in_words():
    told = floors.shown({"accuracy": 0.55, "recall": {"cat": 0.1}})
    assert told == "gates.accuracy 0.55 and gates.recall {cat: 0.1}"
