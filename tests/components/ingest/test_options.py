"""The data options: what they refuse, and that checking them is quick."""

import json
import subprocess
import sys

import pydantic
import pytest

from graft.components.ingest.options import DataOptions

IDX = {"source": "idx", "path": "x", "pairs": [{"images": "i", "labels": "l"}]}


def test_defaults_and_round_trip():
    options = DataOptions(source="csv", path="photos.csv", schema="schema.pbtxt", slices=["site"])
    text = options.model_dump_json(by_alias=True)
    assert DataOptions.model_validate_json(text) == options
    assert json.loads(text)["schema"] == "schema.pbtxt"
    assert (options.split.eval, options.split.test, options.window) == (0.15, 0.15, 1)


def test_every_field_is_described():
    for model in (DataOptions, *(DataOptions.model_fields[name].annotation for name in ("split", "columns"))):
        for name, field in model.model_fields.items():
            assert field.description, name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"source": "folder", "path": "x"}, "no source 'folder'; there are image_folder, csv"),
        ({"source": "csv", "path": ""}, "is empty"),
        ({"source": "csv", "path": "gs://bucket/x"}, "local or mounted"),
        ({"source": "csv", "path": "x", "colums": {}}, "colums"),
        ({"source": "csv", "path": "x", "split": {"eval": 0.5, "test": 0.5}}, "must be below 1"),
        ({"source": "csv", "path": "x", "split": {"eval": -0.1}}, "greater than or equal to 0"),
        ({"source": "csv", "path": "x", "class_names": ["a"]}, "at least 2 names"),
        ({"source": "csv", "path": "x", "class_names": ["a", "b", "a"]}, "each once"),
        ({"source": "csv", "path": "x", "class_names": ["a", "b\u2028"]}, r"name 'b\\u2028' holds a line separator"),
        ({"source": "csv", "path": "x", "slices": ["label"]}, "ingestion uses itself"),
        ({"source": "csv", "path": "x", "slices": ["site", "path"]}, r"slices holds 'path' \(columns.image\); a slice"),
        ({"source": "csv", "path": "x", "slices": ["split"]}, r"slices holds 'split' \(columns.split\)"),
        (
            {"source": "parquet", "path": "x", "columns": {"image": "i", "label": "y"}, "slices": ["y", "i"]},
            r"slices holds 'y' \(columns.label\), 'i' \(columns.image\)",
        ),
        ({"source": "image_folder", "path": "x", "slices": ["site"]}, "source image_folder has no columns"),
        ({"source": "csv", "path": "x", "slices": ["group"]}, "ingestion uses itself"),
        ({"source": "image_folder", "path": "x", "group": "patient"}, "has no columns, so there is no group 'patient'"),
        (IDX | {"group": "patient"}, "source idx has no columns, so there is no group 'patient'"),
        ({"source": "csv", "path": "x", "group": "path"}, "group is 'path', which is columns.image"),
        ({"source": "csv", "path": "x", "group": "label"}, "group is 'label', which is columns.label"),
        ({"source": "csv", "path": "x", "fingerprint": "slow"}, "'fast' or 'content'"),
        ({"source": "csv", "path": "x", "name": "mnist"}, "`name` belongs to source tfds"),
        ({"source": "tfds", "path": "x"}, "`name` belongs to source tfds"),
        ({"source": "idx", "path": "x"}, "`pairs` belongs to source idx"),
        ({"source": "csv", "path": "x", "window": 0}, "greater than or equal to 1"),
        ({"source": "csv", "path": "x", "max_rejected": 2}, "less than or equal to 1"),
        (IDX | {"pairs": [{"images": "i", "labels": "l", "split": "holdout"}]}, "no split 'holdout'"),
    ],
)
def test_refused(data, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        DataOptions(**data)


def test_columns_that_are_read_as_nothing_else_may_be_slices():
    DataOptions(source="tfrecord", path="x", slices=["path"])
    DataOptions(source="csv", path="x", slices=["split"], columns={"split": None})


def test_split_of_a_pair_is_normalised():
    options = DataOptions(**(IDX | {"pairs": [{"images": "i", "labels": "l", "split": "validation"}]}))
    assert options.pairs[0].split == "eval"


def test_named_split_follows_the_options():
    def options(**data) -> DataOptions:
        return DataOptions(source="image_folder", path="unused", **data)

    assert options().named_split("val") == "eval"
    assert options().named_split("") is None and options().named_split(None) is None
    assert options(columns={"split": None}).named_split("val") is None
    assert options(split={"from_train": True}).named_split("train") is None
    assert options(split={"from_train": True}).named_split("test") == "test"
    with pytest.raises(ValueError, match="'cat' is none of train, eval"):
        options().named_split("cat")


def test_import_brings_no_heavy_library():
    code = (
        "import sys; from graft.components.ingest import options, fingerprint, preflight; "
        "print([name for name in ('tensorflow', 'apache_beam', 'tfx', 'pyarrow', 'numpy') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
