"""The schema for editors takes what Graft takes, and finds what Graft refuses."""

import sys

import foreign_package
import jsonschema
import pydantic
import pytest
import yaml

from graft.models import registry, targets
from graft.pipeline import config_schema
from graft.pipeline.config import ConfigError, expand, parse
from graft.pipeline.reference import starter_config

BASE = {"name": "flowers", "data": {"source": "image_folder", "path": "photos"}, "backbone": {"handle": "backbone/1"}}
NUMBERS = {"kind": "numbers", "columns": ["weight"]}
TABLE = {"source": "csv", "path": "labels.csv", "slices": ["camera"]}


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(config_schema.config_schema())


def faults(validator, **sections):
    """Key and message of each fault of a configuration."""
    errors = map(jsonschema.exceptions.best_match, ([one] for one in validator.iter_errors({**BASE, **sections})))
    return [(".".join(map(str, error.absolute_path)), error.message) for error in errors]


def test_it_is_a_schema_of_the_draft_it_names(validator):
    assert validator.schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(validator.schema)
    assert "graft:field" not in config_schema.as_text(validator.schema)


@pytest.mark.parametrize("target", [{"kind": "label"}, {"kind": "labels"}, NUMBERS], ids=targets.KINDS)
def test_every_default_is_taken(validator, target):
    whole = parse({**BASE, "data": TABLE, "target": target}, "test").model_dump(mode="json", by_alias=True)
    assert not list(validator.iter_errors(whole))
    assert {"kubeflow", "monitoring"} <= whole.keys() <= validator.schema["properties"].keys()


def test_what_init_writes_is_taken(validator):
    assert not list(validator.iter_errors(yaml.safe_load(starter_config("flowers", "photos", "MobileNetV2"))))


@pytest.mark.parametrize(
    "sections",
    [
        {"transfer": {}},
        {"transfer": {"method": "fine_tune", "unfreeze": 0.5}},
        {"input": {"image_size": [96, 96]}},
        {"input": {"kind": "text"}},
        {"target": NUMBERS, "gates": {"mean_absolute_error": 2}, "data": TABLE},
        {
            "gates": {"accuracy": 0.5, "slices": {"camera": {"accuracy": 0.4}}},
            "data": TABLE,
        },
        {"name": "${NAME}", "train": {"epochs": "${EPOCHS}"}},
    ],
)
def test_what_graft_takes_is_taken(validator, sections, monkeypatch):
    monkeypatch.setenv("NAME", "flowers")
    monkeypatch.setenv("EPOCHS", "3")
    assert faults(validator, **sections) == []
    assert jsonschema.Draft7Validator(validator.schema).is_valid({**BASE, **sections}), "an older editor's view"
    parse(expand({**BASE, **sections}, "test"), "test")


@pytest.mark.parametrize(
    ("sections", "key", "message"),
    [
        ({"gate": {}}, "", "'gate' was unexpected"),
        ({"train": {"epochs": 0}}, "train.epochs", "0 is less than the minimum of 1"),
        ({"transfer": {"method": "l2sp"}}, "transfer.method", "'l2sp' is not one of ['bss',"),
        ({"transfer": {"method": "l2_sp", "alfa": 1}}, "transfer", "'alfa' was unexpected"),
        ({"transfer": {"alpha": 1}}, "transfer", "'alpha' was unexpected"),
        ({"data": {"path": "photos"}}, "data", "'source' is a required property"),
        ({"data": {"source": "csv", "path": 1}}, "data.path", "1 is not of type 'string'"),
        ({"target": NUMBERS, "gates": {"accuracy": 0.5}}, "gates", "'accuracy' was unexpected"),
        ({"gates": {"mean_absolute_error": 2}}, "gates", "'mean_absolute_error' was unexpected"),
        ({"kubeflow": {"image": 3}}, "kubeflow.image", "3 is not of type"),
    ],
)
def test_what_graft_refuses_is_found_where_it_stands(validator, sections, key, message):
    found = faults(validator, **sections)
    assert [one for one in found if one[0] == key and message in one[1]], found
    assert not jsonschema.Draft7Validator(validator.schema).is_valid({**BASE, **sections}), "an older editor's view"
    with pytest.raises(ConfigError):
        parse({**BASE, **sections}, "test")


def test_kinds_of_another_package_are_there(tmp_path, monkeypatch):
    """A source as a package brings it; the union is made anew, as that of the configuration is made at its import."""
    source = """
        from typing import Literal
        from pydantic import BaseModel, ConfigDict
        from graft.components.ingest.sources.image_folder import Source

        class Options(BaseModel):
            model_config = ConfigDict(extra="forbid")
            source: Literal["bucket"] = "bucket"
            path: str
    """
    foreign_package.install(tmp_path, monkeypatch, "buckets", {"test.sources": {"bucket": "buckets"}}, source)
    kinds = registry.Registry(
        "data.source",
        {"csv": "graft.components.ingest.sources.csv"},
        group="test.sources",
        needs=("Source",),
    )
    model = pydantic.create_model("Config", data=(kinds.union(), ...))
    made = config_schema.of_model(model)
    check = jsonschema.Draft202012Validator(made)
    assert check.is_valid({"data": {"source": "bucket", "path": "x"}})
    assert not check.is_valid({"data": {"source": "bucket", "path": "x", "more": 1}})
    assert not check.is_valid({"data": {"source": "bukket", "path": "x"}})
    sys.modules.pop("buckets")
