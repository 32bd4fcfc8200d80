"""`graft config`: a schema in a file, and configurations that are looked at."""

import json

import pytest
import yaml

from graft.pipeline import cli
from graft.pipeline.config import load

SOUND = {"name": "flowers", "data": {"source": "image_folder", "path": "${NOWHERE_SET}/x"}, "backbone": {"handle": "b"}}


@pytest.fixture
def files(tmp_path):
    """A sound configuration, one with two faults, and one that is no YAML."""
    contents = {
        "sound": yaml.safe_dump(SOUND),
        "typo": yaml.safe_dump({**SOUND, "gate": {}, "train": {"epochs": 0}}),
        "torn": "name: [",
    }
    for name, text in contents.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return {name: str(tmp_path / f"{name}.yaml") for name in contents}


def test_sound_configurations_are_sound_wherever_their_data_lies(files, capsys):
    assert cli.main(["config", "check", files["sound"]]) == 0
    assert capsys.readouterr().out == f"{files['sound']}: sound (NOWHERE_SET not set here)\n"


def test_every_fault_of_every_file_is_told(files, capsys):
    assert cli.main(["config", "check", *files.values(), "none.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines[:4]] == [
        files["sound"],
        files["typo"],
        files["typo"],
        files["torn"],
    ]
    assert "did you mean 'gates'" in lines[1] + lines[2] and "not valid YAML" in lines[3]
    assert "none.yaml" in lines[4] and "no such file" in lines[4]


def test_json_has_a_row_for_each_file(files, capsys):
    assert cli.main(["config", "check", "--json", files["sound"], files["typo"]]) == 1
    sound, typo = json.loads(capsys.readouterr().out)["files"]
    assert sound == {"file": files["sound"], "faults": [], "unset": ["NOWHERE_SET"]}
    assert len(typo["faults"]) == 2


def test_the_schema_is_printed_or_written(tmp_path, capsys):
    assert cli.main(["config", "schema"]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["config", "schema", "-o", str(tmp_path / "new" / "schema.json")]) == 0
    assert (tmp_path / "new" / "schema.json").read_text() == printed
    assert json.loads(printed)["required"] == ["name", "data", "backbone"]


def test_init_names_the_schema_where_there_is_one(tmp_path, capsys):
    paths = [tmp_path / f"{name}.yaml" for name in ("plain", "first", "second")]
    assert cli.main(["init", str(paths[0])]) == 0
    assert cli.main(["init", str(paths[1]), "--schema"]) == 0
    assert cli.main(["init", str(paths[2])]) == 0  # there is one now
    capsys.readouterr()
    line = "# yaml-language-server: $schema=./graft.schema.json"
    assert [path.read_text().startswith(f"{line}\n") for path in paths] == [False, True, True]
    assert json.loads((tmp_path / "graft.schema.json").read_text())["required"]
    assert load(paths[1]).name == "first"
