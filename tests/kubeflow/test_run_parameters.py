"""Parameters of a compiled pipeline: their marks in the settings, and what may stand in their place."""

import json

import pytest

from graft.kubeflow import parameters
from graft.models.errors import GraftError
from graft.pipeline import config as configs


def test_marks_are_found_and_filled_within_json():
    setting = json.dumps({"a": parameters.mark("code"), "b": [f"x {parameters.mark('backbone')}"], "c": 1})
    assert parameters.marks(setting) == {"code", "backbone"} and parameters.marks(3.0) == set()
    filled = parameters.filled(setting, parameters.checked({"code": "1", "backbone": "MobileNetV2, keras 3.15.1"}))
    assert json.loads(filled) == {"a": "1", "b": ["x MobileNetV2, keras 3.15.1"], "c": 1}
    assert parameters.filled(3.0, {}) == 3.0
    with pytest.raises(GraftError, match="name parameter 'backbone', which it was not given"):
        parameters.filled(setting, {"code": "1"})


@pytest.mark.parametrize("value", ['a"b', "a\\b", "x" * 257, "line\nbreak", 3, None, "ä"])
def test_a_value_that_would_break_json_is_refused(value):
    with pytest.raises(GraftError, match=r"parameter code: received .*; allowed: up to 256 letters"):
        parameters.checked({"code": value})


def test_new_files_at_the_same_path_are_another_value_and_the_same_files_are_not(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.png,x\n")
    raw = {
        "name": "x",
        "data": {"source": "csv", "path": str(tmp_path / "labels.csv"), "fingerprint": "content"},
        "backbone": {"handle": "MobileNetV2"},
        "root": str(tmp_path / "runs"),
    }
    config = configs.parse(raw, "test")
    first, again = parameters.computed(config), parameters.computed(config)
    assert first == again and set(first) == set(parameters.DESCRIPTIONS)
    (tmp_path / "labels.csv").write_text("path,label\na.png,y\n")
    other = parameters.computed(config)
    assert {name for name in first if first[name] != other[name]} == {parameters.DATA, "run_key"}
    assert first[parameters.TEACHER] == first[parameters.SCHEMA] == ""
