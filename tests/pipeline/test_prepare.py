"""Paths that cannot be read are refused before anything is written."""

import pytest

from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import prepare, run
from graft.pipeline.progress_view import ProgressView


def config_of(folder, **keys) -> configs.Config:
    raw = {
        "name": "shapes",
        "data": {"source": "image_folder", "path": str(folder / "data [1]")},
        "backbone": {"handle": "EfficientNetB0"},
        "root": str(folder / "runs"),
        "store": str(folder / "store"),
    }
    return configs.parse(raw | keys, "shapes.yaml")


@pytest.mark.parametrize(("name", "character"), [("runs [1]", "["), ("a*b", "*"), ("what?", "?"), ("a\\b", "\\")])
def test_pattern_in_a_path_is_refused_with_key_and_character(tmp_path, name, character):
    for key in ("root", "store"):
        with pytest.raises(GraftError) as error:
            prepare.check_paths(config_of(tmp_path, **{key: str(tmp_path / name / "x")}))
        message = str(error.value)
        assert message.startswith(f"{key}: ") and f"holds {character!r}; TensorFlow" in message
        assert "\n" not in message


def test_folder_of_the_backbone_is_looked_at_and_a_name_is_not(tmp_path):
    folder = tmp_path / "backbone [1]"
    config = config_of(tmp_path, backbone={"handle": str(folder)})
    prepare.check_paths(config)  # no folder: that it is missing is said elsewhere
    folder.mkdir()
    with pytest.raises(GraftError, match=r"backbone.handle: .*backbone \[1\]' holds '\['"):
        prepare.check_paths(config)


def test_working_directory_counts_where_the_key_is_relative(tmp_path, monkeypatch):
    (tmp_path / "run [1]").mkdir()
    config = config_of(tmp_path, root="runs")
    prepare.check_paths(config)
    monkeypatch.chdir(tmp_path / "run [1]")
    with pytest.raises(GraftError, match="root: "):
        prepare.check_paths(config)


def test_nothing_is_written_before(tmp_path):
    config = config_of(tmp_path, root=str(tmp_path / "runs [1]"))
    with pytest.raises(GraftError, match="root: "), ProgressView() as view:
        run.run(config, view)
    with pytest.raises(GraftError, match="root: "):
        run.check(config)
    assert list(tmp_path.iterdir()) == []
