"""`graft rank`: a ranking of real candidates, what it leaves for a run, and what it refuses."""

import json

import keras
import pytest
import yaml
from workshop import SIDE, Workshop, write_backbone

from graft.pipeline import cli, rank_command


@pytest.fixture(scope="module")
def ranked(workshop, tmp_path_factory):
    """A ranking in a folder where nothing was run: a good network, one that sees one dot, two that fail."""
    folder = tmp_path_factory.mktemp("ranked")
    images = keras.Input((SIDE, SIDE, 3))
    dot = keras.layers.Cropping2D(((0, SIDE - 1), (0, SIDE - 1)))(images)
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(dot[..., :1])).save(folder / "dot.keras")
    write_backbone(folder / "other", seed=1)
    config = yaml.safe_load(workshop.config.read_text())
    entries = [
        {"name": "dot", "handle": str(folder / "dot.keras")},
        {"name": "sound", "handle": config["backbone"]["handle"], "input": {"value_range": "auto"}},
        {"name": "large", "handle": str(folder / "other"), "input": {"image_size": [32, 32]}},
        {"name": "absent", "handle": str(folder / "absent.keras")},
    ]
    (folder / "zoo.yaml").write_text(yaml.safe_dump(entries))
    config["backbone"] = {"handle": "none yet"}
    (folder / "shapes.yaml").write_text(yaml.safe_dump(config))
    place = Workshop(folder, folder / "shapes.yaml")
    return place, place.graft("rank", "shapes.yaml", "--zoo", "zoo.yaml", "--sample", "40", "--write", "with/best.yaml")


@pytest.mark.slow
def test_candidates_are_scored_and_failures_do_not_stop_them(ranked):
    _, outcome = ranked
    assert outcome.code == 0, outcome.stderr
    value = outcome.value
    assert value["winner"] == "sound" and value["statement"] == "Take sound: all 5 scores put it first."
    assert value["sample"] == {"split": "train", "examples": 39, "of": 60, "seed": 0, "left_out": []} | {
        key: value["sample"][key] for key in ("examples", "of")
    }
    assert value["sample"]["examples"] <= 42 and value["sample"]["of"] < 80
    candidates = value["candidates"]
    assert candidates["sound"]["mean_rank"] == 1 and candidates["sound"]["features"] == 32
    assert set(candidates["dot"]["scores"]) == {"logme", "nleep", "h_score", "knn", "probe"} == set(value["compared"])
    assert candidates["dot"]["why_not"] == {"leep": "needs a classifier"}
    assert all(seconds >= 0 for seconds in candidates["sound"]["seconds"].values())
    assert "input.image_size is [32, 32]" in candidates["large"]["error"]
    assert "does not exist" in candidates["absent"]["error"]
    text = "\n".join(rank_command.lines(value))
    assert "LEEP: not taken of every candidate: needs a classifier." in text and "wrote with/best.yaml" in text


@pytest.mark.slow
def test_a_run_with_the_winner_takes_the_ingestion_from_the_cache(ranked):
    place, _ = ranked
    written = place.folder / "with" / "best.yaml"
    assert written.read_text().startswith("# Made by graft rank. Take sound: all 5 scores put it first.\n")
    outcome = place.graft("rank", "shapes.yaml", "--zoo", "zoo.yaml", "--scores", "knn", "--sample", "40", "--run")
    assert outcome.code == 0, outcome.stderr
    assert outcome.value["status"] == "passed" and outcome.value["ranking"]["winner"] == "sound"
    cached = {stage["name"]: stage["cached"] for stage in outcome.value["stages"]}
    assert all(cached[name] for name in ("ingest", "statistics", "schema", "validate", "data_gate", "transform"))
    assert not cached["features"]
    again = place.graft("run", "with/best.yaml")
    assert all(stage["cached"] for stage in again.value["stages"] if stage["name"] in ("features", "train"))


@pytest.mark.slow
def test_all_failing_is_an_error(ranked):
    place, _ = ranked
    outcome = place.graft("rank", "shapes.yaml", "--backbones", "nowhere.keras", "no_folder", "--sample", "40")
    assert outcome.code == 2 and "nowhere.keras: backbone nowhere.keras (/" in outcome.stderr
    assert "no_folder" in outcome.stderr and "no_folder" in outcome.value["error"]


def test_what_a_terminal_gets():
    def candidate(scores, ranks, mean_rank, why_not, error=None):
        told = {"scores": scores, "ranks": ranks, "mean_rank": mean_rank, "why_not": why_not, "error": error}
        return {"features": 8, "seconds": {"pass": 1.0, "knn": 0.5}, **told}

    missing = {"leep": "not for this target", "nleep": "not for this target"}
    found = {
        "sample": {"examples": 60, "of": 83, "seed": 0, "left_out": ["rare"]},
        "scores": {name: {"title": name.upper()} for name in ("leep", "nleep", "knn")},
        "candidates": {
            "b": candidate({"knn": 0.25}, {"knn": 2}, 2.0, missing),
            "a": candidate({"knn": 0.5}, {"knn": 1}, 1.0, missing),
            "c": candidate({}, {}, None, {}, "backbone 'c' does not exist"),
        },
        "compared": ["knn"],
        "agreement": {"knn": {}},
        "statement": "Take a: KNN puts it first.",
    }
    assert rank_command.lines(found) == [
        "60 of 83 training examples, drawn with seed 0; no other split was looked at.",
        "Left out, for they have too few examples: rare.",
        "",
        "backbone  features  KNN (rank)  mean rank  seconds",
        "a         8         0.5000 (1)  1.00       1.5",
        "b         8         0.2500 (2)  2.00       1.5",
        "c         -         -           -          1.5",
        "c: backbone 'c' does not exist",
        "LEEP, NLEEP: not taken of every candidate: not for this target.",
        "",
        "Take a: KNN puts it first.",
    ]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--backbones", "a", "--scores", "logmee"], "--scores: received 'logmee'; did you mean 'logme'?"),
        (["--backbones", "a", "a"], "--backbones: 'a' stands twice"),
        (["--zoo", "absent.yaml"], "absent.yaml): no such file"),
        (["--backbones", "a", "--write", "x.yaml"], "--write x.yaml: exists already"),
        (["--backbones", "a", "--seed", "-1"], "--seed: received -1; allowed: from 0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_read(args, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    content = {"name": "x", "data": {"source": "image_folder", "path": "d"}, "backbone": {"handle": "b"}}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(content))
    assert cli.main(["rank", "x.yaml", *args, "--json"]) == 2
    assert told in json.loads(capsys.readouterr().out)["error"] and not (tmp_path / "runs").exists()
