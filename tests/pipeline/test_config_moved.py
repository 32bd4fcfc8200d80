"""Keys that have another place now."""

import logging

import pytest

from graft.pipeline import config as configs
from graft.pipeline.config import ConfigError
from graft.pipeline.config_moved import MOVED, move

SMALLEST = {"name": "x", "data": {"source": "image_folder", "path": "p"}, "backbone": {"handle": "h"}}


def put(raw: dict, key: str, value) -> dict:
    *parents, last = key.split(".")
    node = raw
    for part in parents:
        node = node.setdefault(part, {})
    node[last] = value
    return raw


def test_every_new_place_is_a_key():
    data = {"source": "csv", "path": "p"}
    config = configs.parse({**SMALLEST, "data": data}, "f").model_dump(mode="json")
    for new in MOVED.values():
        section = config
        for part in new.split("."):
            assert part in section, new
            section = section[part]


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_the_value_stands_at_the_new_place_and_the_log_says_so(old, new, caplog):
    before = put({"name": "x"}, old, "value")
    with caplog.at_level(logging.WARNING):
        after, faults = move(before, "my.yaml")
    assert faults == [] and before == put({"name": "x"}, old, "value")
    emptied = {old.split(".")[0]: {}} | ({"data": {"columns": {}}} if old.startswith("data.columns") else {})
    assert after == put({"name": "x", **emptied}, new, "value")
    assert [record.getMessage() for record in caplog.records] == [f"my.yaml: {old} is {new} now; it is read as that"]


def test_an_old_configuration_means_what_it_meant():
    old = {**SMALLEST, "backbone": {"handle": "h", "image_size": [32, 16]}, "train": {"label_smoothing": 0.1}}
    new = {**SMALLEST, "input": {"image_size": [32, 16]}, "target": {"label_smoothing": 0.1}}
    assert configs.parse(old, "old") == configs.parse(new, "new")


def test_both_places_at_once_are_refused():
    raw = {**SMALLEST, "backbone": {"handle": "h", "image_size": [32, 16]}, "input": {"image_size": [16, 16]}}
    with pytest.raises(ConfigError, match=r"^f: backbone.image_size: is input.image_size now, and both are given; "):
        configs.parse(raw, "f")


@pytest.mark.parametrize("section", [5, None, ["a"]])
def test_what_is_no_section_is_left_to_the_schema(section):
    raw = {**SMALLEST, "input": section, "backbone": {"handle": "h", "image_size": [32, 16]}}
    with pytest.raises(ConfigError) as error:
        configs.parse(raw, "f")
    assert any(line.startswith("f: input.kind: must be one of image, text; received") for line in error.value.lines)
