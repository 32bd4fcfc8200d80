"""The dry run: exact counts and refusals, `--from`, the places to write to, and nothing left behind."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import dry_run, run
from graft.pipeline.cli import main


@pytest.fixture
def photos(tmp_path, monkeypatch) -> pathlib.Path:
    """A working directory with 40 photos of each of two classes; the backbone is not looked at."""
    monkeypatch.setattr(run, "check_backbone", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path


SETTINGS = [
    *("--set", "data.max_rejected=0.5", "--set", "gates={}"),
    *("--set", "input.value_range=[0, 1]"),
]


def config(**more) -> configs.Config:
    raw = {
        "name": "pets",
        "data": {"source": "image_folder", "path": "photos"},
        "backbone": {"handle": "b"},
        "input": {"value_range": [0, 1]},
    }
    raw["data"] |= more.pop("data", {})
    return configs.parse(raw | more, "test")


def graft(tmp_path, capsys, *options: str) -> tuple[int, dict, str]:
    """`graft run --dry-run --json` -> exit code, object, stderr."""
    path = tmp_path / "pets.yaml"
    if not path.exists():
        assert main(["init", str(path), "--data", "photos"]) == 0
        capsys.readouterr()
    code = main(["run", str(path), "--dry-run", "--json", "--set", "input.value_range=[0, 1]", *options])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def test_counts_are_exact_and_nothing_is_left(photos, capsys):
    (photos / "photos" / "cat" / "copy.png").write_bytes((photos / "photos" / "cat" / "0.png").read_bytes())
    code, value, _ = graft(photos, capsys)
    assert (code, value["status"], value["exact"]) == (0, "checked", True)
    assert value["classes"] == {"cat": 41, "dog": 40} and sum(value["splits"].values()) == 81
    assert (value["duplicates"], value["rejected"], value["warnings"]) == (1, {}, [])
    assert sorted(path.name for path in photos.iterdir()) == ["pets.yaml", "photos"]


def test_what_the_data_gate_would_refuse_is_not_sound(photos, capsys):
    for number in range(5):
        (photos / "photos" / "dog" / f"broken {number}.png").write_bytes(b"no image")
    code, value, said = graft(photos, capsys)
    assert (code, value["status"], value["rejected"]) == (1, "gate_closed", {"unknown_type": 5})
    assert value["rejected_files"][0]["file"] == "dog/broken 0.png"
    assert "a run would close the gate: max_rejected is 0.0588" in said.splitlines()[-1]
    code, value, _ = graft(photos, capsys, "--set", "data.max_rejected=0.1")
    assert (code, value["status"]) == (0, "checked")


def test_for_people(photos, capsys):
    (photos / "photos" / "dog" / "odd.png").write_bytes(b"no image")
    graft(photos, capsys)
    assert main(["run", "pets.yaml", "--dry-run", *SETTINGS]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("pets.yaml: sound. Classes: cat 40, dog 40. Splits: train ") and " s)." in first
    assert "1 images would be rejected: 1 unknown_type (the first bytes are of no known image type)" in lines
    assert "  dog/odd.png: unknown_type, text" in lines
    assert lines[-1].startswith("WARNING  no quality gate: any model would pass. For this data set at the least gates.")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"store": "photos/cat/0.png"}, r"store: photos/cat/0\.png .*0\.png is a file; it must be a folder"),
        ({"store": "photos/cat/0.png/below"}, r"store: .*0\.png is a file"),
        ({"root": "photos/cat/0.png"}, r"root: .*is a file; it must be a folder, or not there yet"),
        ({"root": "photos/cat", "name": "0.png"}, r"name: photos/cat/0\.png .*is a file"),
        ({"data": {"schema": "none.pbtxt"}}, r"data\.schema: none\.pbtxt .*No such file"),
        ({"data": {"schema": "photos/cat/0.png"}}, r"data\.schema: .*is no schema"),
    ],
)
def test_places_and_schema(photos, more, message):
    with pytest.raises(GraftError, match=message):
        dry_run.look(config(**more))


def test_places_that_a_run_may_have(photos):
    (photos / "schema.pbtxt").write_text('feature { name: "label" type: BYTES }')
    (photos / "store").mkdir()
    found = dry_run.look(config(store="store", root="not/yet", data={"schema": "schema.pbtxt"}))
    assert sum(found.splits.values()) == 80 and not (photos / "not").exists()


def test_from_must_be_a_stage_of_this_pipeline(photos):
    for stage in ("trian", "negative_transfer"):
        with pytest.raises(GraftError, match=rf"--from {stage}: no such stage; stages: ingest, statistics, .*, push$"):
            dry_run.look(config(), stage)
    assert dry_run.look(config(), "train").gate.passed
    assert dry_run.look(config(gates={"negative_transfer": {}}), "negative_transfer").gate.passed


def test_a_data_set_that_is_too_large_is_listed_only(photos, monkeypatch):
    monkeypatch.setattr("graft.components.ingest.preflight.MOST_ENTRIES", 70)
    found = dry_run.look(config(gates={"accuracy": 0.6}))
    assert found.rehearsal is None and [warning.code for warning in found.warnings] == ["not_rehearsed"]
    assert found.to_json()["exact"] is False


@pytest.mark.parametrize(
    ("section", "advice"),
    [
        ({"source": "image_folder"}, "put the class folders into folders train, eval and test"),
        ({"source": "csv", "columns": {"split": "fold"}}, "name all three splits in column 'fold'"),
        ({"source": "parquet", "columns": {"split": None}}, "a column that data.columns.split names"),
        ({"source": "idx", "pairs": [{"images": "a", "labels": "b"}]}, "by data.pairs[].split"),
        ({"source": "tfds", "name": "beans"}, "prepare a data set that has all three splits"),
        ({"source": "request_log", "model": "pets"}, "label more requests (`graft label`)"),
    ],
)
def test_advice_is_that_of_the_source(section, advice):
    from graft.components.ingest import sources

    assert advice in sources.parse_options({"path": "p", **section}).split_advice
