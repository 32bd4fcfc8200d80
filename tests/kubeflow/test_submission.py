"""What is sent to make a run: the compiled file, and a value for each parameter of it."""

import pytest
import yaml

from graft.kubeflow import submission
from graft.kubeflow.submission import SCHEDULED, Package
from graft.models.errors import GraftError
from graft.pipeline import config as configs
from graft.pipeline import prepare

STRING = {"parameterType": "STRING"}
ALL = {name: STRING for name in ("data_fingerprint", "code", "backbone", "teacher", "run_key")}


@pytest.fixture
def config(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.png,rose\n")
    (tmp_path / "backbone").write_bytes(b"weights")
    raw = {
        "name": "flowers",
        "data": {"source": "csv", "path": str(tmp_path / "labels.csv")},
        "input": {"value_range": [0, 1]},
        "backbone": {"handle": str(tmp_path / "backbone")},
    }
    return configs.parse(raw, "flowers.yaml")


def package(**parameters):
    return Package("flowers", {}, parameters or ALL, "minio://b/r")


def test_every_parameter_has_a_value(config, tmp_path):
    values = submission.values_now(config, package(), {})
    assert set(values) == set(ALL)
    assert values["code"] == prepare.code_version()
    assert values["backbone"] == prepare.backbone_identity(config.backbone)
    assert values["teacher"] == ""
    assert values["data_fingerprint"] and values["run_key"]
    assert submission.values_now(config, package(), {}) == values
    (tmp_path / "labels.csv").write_text("path,label\na.png,rose\nb.png,tulip\n")
    changed = submission.values_now(config, package(), {})
    assert {name for name in values if values[name] != changed[name]} == {"data_fingerprint", "run_key"}


def test_only_those_that_the_file_has(config):
    assert submission.values_now(config, package(code=STRING), {}) == {"code": prepare.code_version()}
    assert submission.values_now(config, Package("flowers", {}, {}, ""), {}) == {}


def test_data_that_cannot_be_read_from_here(config, tmp_path):
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(GraftError, match=r"labels\.csv.*--parameter data_fingerprint=TEXT"):
        submission.values_now(config, package(), {})
    values = submission.values_now(config, package(), {"data_fingerprint": "2026-01-01"})
    assert (values["data_fingerprint"], values["run_key"]) == ("2026-01-01", "")
    assert values["code"] == prepare.code_version()


def test_a_schedule_reads_no_data(config, tmp_path):
    (tmp_path / "labels.csv").unlink()
    values = submission.values_scheduled(config, package(), {})
    assert values == {
        "data_fingerprint": SCHEDULED,
        "code": prepare.code_version(),
        "backbone": prepare.backbone_identity(config.backbone),
        "teacher": "",
        "run_key": "",
    }


def test_a_teacher_that_cannot_be_read_from_here(config, tmp_path):
    method = {"method": "distil", "teacher": str(tmp_path / "none")}
    config = configs.parse(config.model_dump(exclude_unset=True) | {"transfer": method}, "flowers.yaml")
    for values in (submission.values_scheduled, submission.values_now):
        with pytest.raises(GraftError, match=r"--parameter teacher=TEXT"):
            values(config, package(), {})
    assert submission.values_scheduled(config, package(), {"teacher": ""})["teacher"] == ""


def test_defaults_are_sent_too(config):
    declared = {"epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3}, "note": STRING | {"isOptional": True}}
    assert submission.values_now(config, package(**declared), {}) == {"epochs": 3}
    assert submission.values_now(config, package(**declared), {"epochs": "5"}) == {"epochs": 5}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("NUMBER_DOUBLE", "0.5", 0.5),
        ("BOOLEAN", "true", True),
        ("STRUCT", '{"a": 1}', {"a": 1}),
        ("LIST", "[1]", [1]),
        ("STRING", "3", "3"),
    ],
)
def test_values_have_the_type_that_the_file_says(config, kind, text, value):
    assert submission.values_now(config, package(x={"parameterType": kind}), {"x": text}) == {"x": value}


@pytest.mark.parametrize(
    ("declared", "own", "message"),
    [
        (ALL, {"epochs": "3"}, r"--parameter epochs: .* allowed: data_fingerprint, code"),
        ({"x": STRING}, {}, "parameter x has no value and no default; give --parameter x=VALUE"),
        (
            {"x": {"parameterType": "NUMBER_INTEGER"}},
            {"x": "a"},
            "received 'a'; allowed: a value of type NUMBER_INTEGER",
        ),
        ({"x": {"parameterType": "BOOLEAN"}}, {"x": "3"}, "allowed: a value of type BOOLEAN"),
        (ALL, {"data_fingerprint": 'a"b'}, "parameter data_fingerprint: received 'a\"b'; allowed"),
        (ALL, {"data_fingerprint": SCHEDULED}, r"parameter data_fingerprint: received '\[\[Scheduled"),
    ],
)
def test_refuses_what_cannot_be_sent(config, declared, own, message):
    with pytest.raises(GraftError, match=message):
        submission.values_now(config, package(**declared), own)


@pytest.mark.parametrize("pairs", [["a"], ["=b"], ["a=1", "a=2"]])
def test_refuses_what_is_no_pair(pairs):
    with pytest.raises(GraftError, match="--parameter"):
        submission.given(pairs)
    assert submission.given(["a=1=2", "b="]) == {"a": "1=2", "b": ""}


def compiled(path, *documents):
    path.write_text(yaml.safe_dump_all(documents))
    return path


SPEC = {
    "schemaVersion": "2.1.0",
    "pipelineInfo": {"name": "flowers"},
    "defaultPipelineRoot": "minio://b/r",
    "deploymentSpec": {"executors": {}},
    "components": {},
    "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": {"code": STRING}}},
}


def test_a_compiled_file(tmp_path):
    found = submission.read_package(compiled(tmp_path / "p.yaml", SPEC))
    assert found == Package("flowers", SPEC, {"code": STRING}, "minio://b/r")


def test_a_platform_document_is_sent_beside_it(tmp_path):
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    found = submission.read_package(compiled(tmp_path / "p.yaml", SPEC, platform))
    assert found.spec == {"pipeline_spec": SPEC, "platform_spec": platform}
    with pytest.raises(GraftError, match="holds 3 YAML documents"):
        submission.read_package(compiled(tmp_path / "p.yaml", SPEC, platform, platform))


def test_what_is_no_compiled_file(tmp_path):
    with pytest.raises(GraftError, match="give a file that graft kubeflow compile wrote"):
        submission.read_package(tmp_path / "none.yaml")
    with pytest.raises(GraftError, match=r"2\.1\.0 only"):
        submission.read_package(compiled(tmp_path / "p.yaml", SPEC | {"schemaVersion": "2.0.0"}))
