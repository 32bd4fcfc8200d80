"""An executor is given what it declares; what is not there, or is there twice, is refused."""

import pathlib

import pytest
from tfx.types import standard_artifacts

from graft.components.executor import Artifacts, BaseExecutor
from graft.components.parameters import BaseParameters


class Plain(BaseExecutor):
    """Notes what it was given."""

    def run(self, inputs, outputs, given):
        outputs.artifact("model").set_string_custom_property("note", f"{inputs.uri('examples')}: {given!r}")


class Typed(Plain):
    """The same, with parameters of its own."""

    class PARAMETERS(BaseParameters):
        names: tuple[str, ...]


@pytest.fixture
def examples():
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = "/e", '["train", "test"]'
    return artifact


@pytest.mark.parametrize(
    ("kind", "note"),
    [(Plain, """/e: {'names': '["a"]', 'code': 'c'}"""), (Typed, "/e: PARAMETERS(code='c', names=('a',))")],
)
def test_parameters_are_loaded_where_they_are_declared(examples, kind, note):
    model = standard_artifacts.Model()
    kind().Do({"examples": [examples]}, {"model": [model]}, {"names": '["a"]', "code": "c"})
    assert model.get_string_custom_property("note") == note


def test_artifacts_by_name(examples):
    found = Artifacts({"examples": [examples], "optional": []})
    assert [found.has(name) for name in ("examples", "optional", "model")] == [True, False, False]
    assert found.artifact("examples") is examples and found.path("examples") == pathlib.Path("/e")
    assert found.splits("examples") == ["train", "test"] and found.split_uri("examples", "test") == "/e/Split-test"
    with pytest.raises(ValueError, match="eval"):
        found.split_uri("examples", "eval")


def test_what_is_not_one_artifact_is_refused(examples):
    found = Artifacts({"optional": [], "examples": [examples, examples]})
    for name in ("optional", "examples"):
        with pytest.raises(ValueError, match="expected list length of one"):
            found.uri(name)
    with pytest.raises(KeyError, match="model"):
        found.uri("model")
