"""The data options: what they refuse, and that checking them is quick."""

import json
import subprocess
import sys

import pydantic
import pytest
from ingest_request import request

from graft.components.ingest import options, sources
from graft.components.ingest.options import DataOptions
from graft.models.errors import GraftError

IDX = {"source": "idx", "path": "x", "pairs": [{"images": "i", "labels": "l"}]}


def test_defaults_and_round_trip():
    asked = sources.parse_options({"source": "csv", "path": "p.csv", "schema": "schema.pbtxt", "slices": ["site"]})
    text = asked.model_dump_json(by_alias=True)
    assert sources.parse_options(json.loads(text)) == asked
    assert json.loads(text)["schema"] == "schema.pbtxt"
    assert (asked.split.eval, asked.split.test, asked.window) == (0.15, 0.15, 1)


def test_every_field_is_described():
    models = [sources.REGISTRY.options(name) for name in sources.REGISTRY]
    for model in (*models, options.SplitOptions, options.ColumnOptions, options.DomainOptions):
        for name, field in model.model_fields.items():
            assert field.description, name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"source": "csv", "path": ""}, "is empty"),
        ({"source": "csv", "path": "gs://bucket/x"}, "local or mounted"),
        ({"source": "csv", "path": "x", "colums": {}}, "colums"),
        ({"source": "csv", "path": "x", "split": {"eval": 0.5, "test": 0.5}}, "must be below 1"),
        ({"source": "csv", "path": "x", "split": {"eval": -0.1}}, "greater than or equal to 0"),
        ({"source": "csv", "path": "x", "slices": ["label"]}, "ingestion uses itself"),
        ({"source": "csv", "path": "x", "slices": ["group"]}, "ingestion uses itself"),
        ({"source": "image_folder", "path": "x", "slices": ["site"]}, "slices\n.*Extra inputs are not permitted"),
        ({"source": "image_folder", "path": "x", "group": "patient"}, "group\n.*Extra inputs are not permitted"),
        ({"source": "image_folder", "path": "x", "columns": {"input": "i"}}, "columns.input\n.*not permitted"),
        (IDX | {"weight": "w"}, "weight\n.*Extra inputs are not permitted"),
        ({"source": "csv", "path": "x", "fingerprint": "slow"}, "'fast' or 'content'"),
        ({"source": "csv", "path": "x", "name": "mnist"}, "name\n.*Extra inputs are not permitted"),
        ({"source": "csv", "path": "x", "domain": {"column": "site"}}, "domain.target\n.*required"),
        ({"source": "tfds", "path": "x"}, "name\n.*required"),
        ({"source": "idx", "path": "x"}, "pairs\n.*required"),
        ({"source": "csv", "path": "x", "window": 0}, "greater than or equal to 1"),
        ({"source": "csv", "path": "x", "max_rejected": 2}, "less than or equal to 1"),
        (IDX | {"pairs": [{"images": "i", "labels": "l", "split": "holdout"}]}, "no split 'holdout'"),
    ],
)
def test_refused(data, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        sources.parse_options(data)


def test_unknown_source():
    with pytest.raises(GraftError, match=r"data.source: received 'folder'.* allowed: image_folder, csv"):
        sources.parse_options({"source": "folder", "path": "x"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"slices": ["width"]}, "are names that ingestion uses itself"),
        ({"slices": ["site", "path"]}, r"slices holds 'path' \(data.columns.input\); a slice"),
        ({"slices": ["split"]}, r"slices holds 'split' \(data.columns.split\)"),
        (
            {"source": "parquet", "columns": {"input": "i"}, "target": {"column": "y"}, "slices": ["y", "i"]},
            r"slices holds 'y' \(target.column\), 'i' \(data.columns.input\)",
        ),
        ({"group": "path"}, "data.group is 'path', which is data.columns.input; a group is a column of its own"),
        ({"group": "label"}, "data.group is 'label', which is target.column"),
        ({"weight": "label"}, "data.weight is 'label', which is target.column; a weight is"),
        ({"domain": {"column": "path", "target": "x"}}, "data.domain.column is 'path', which is data.columns.input"),
    ],
)
def test_a_column_is_read_as_one_thing_only(data, message):
    with pytest.raises(GraftError, match=message):
        request(**({"source": "csv", "path": "x"} | data))


def test_columns_that_are_read_as_nothing_else_may_be_slices():
    request(source="tfrecord", path="x", slices=["path"])
    request(source="csv", path="x", slices=["split"], columns={"split": None})


def test_the_input_says_where_its_content_is():
    assert request(source="csv", path="x").input_column == "path"
    assert request(source="parquet", path="x").input_column == "image"
    assert request(source="csv", path="x", input={"kind": "text"}).input_column == "text"
    assert request(source="csv", path="x", columns={"input": "photo"}).input_column == "photo"


def test_split_of_a_pair_is_normalised():
    asked = sources.parse_options(IDX | {"pairs": [{"images": "i", "labels": "l", "split": "validation"}]})
    assert asked.pairs[0].split == "eval"


def test_a_number_may_name_the_target_domain():
    data = {"source": "csv", "path": "x", "domain": {"column": "year", "target": 2024}}
    assert sources.parse_options(data).domain.target == "2024"


def test_named_split_follows_the_options():
    def asked(**data) -> DataOptions:
        return sources.parse_options({"source": "image_folder", "path": "unused", **data})

    assert asked().named_split("val") == "eval"
    assert asked().named_split("") is None and asked().named_split(None) is None
    assert asked(columns={"split": None}).named_split("val") is None
    assert asked(split={"from_train": True}).named_split("train") is None
    assert asked(split={"from_train": True}).named_split("test") == "test"
    with pytest.raises(ValueError, match="'cat' is none of train, eval"):
        asked().named_split("cat")


def test_import_brings_no_heavy_library():
    code = (
        "import sys; from graft.components.ingest import fingerprint, preflight, sources\n"
        "[sources.REGISTRY.module(name) for name in sources.REGISTRY]\n"
        "print([name for name in ('tensorflow', 'apache_beam', 'tfx', 'pyarrow') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
