"""The component, its executor as TFX calls it, and that TFX reads what it writes."""

import pytest
from ingest_request import request
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from graft.components.artifacts import Rejected
from graft.components.beam import LOCAL_BEAM_ARGS
from graft.components.ingest.component import Ingest
from graft.components.ingest.executor import Executor, Parameters
from graft.components.ingest.summary import read_summary


def artifact(kind, path):
    one = kind()
    one.uri = str(path)
    return one


def component(fingerprint="f1", code="c1", **data) -> Ingest:
    return Ingest(parameters(fingerprint, code, **data))


def parameters(fingerprint="f1", code="c1", **data) -> Parameters:
    asked = request(**data)
    options = {"data": asked.data, "input": asked.input.options, "target": asked.target.options}
    return Parameters(**options, fingerprint=fingerprint, code=code)


@pytest.fixture
def run(tmp_path):
    """Runs the executor with a component's own parameters; returns its two artifacts."""

    def do(**data):
        outputs = {
            "examples": [artifact(standard_artifacts.Examples, tmp_path / "examples")],
            "rejected": [artifact(Rejected, tmp_path / "rejected")],
        }
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(LOCAL_BEAM_ARGS), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
        )
        Executor(context).Do({}, outputs, component(**data).exec_properties)
        return outputs["examples"][0], outputs["rejected"][0]

    return do


def test_component_declares_its_parameters_and_outputs():
    made = component(source="image_folder", path="photos", input={"max_pixels": 9})
    assert made.exec_properties["fingerprint"] == "f1" and made.exec_properties["code"] == "c1"
    read = Parameters.load(made.exec_properties)
    assert (read.data.path, read.input.max_pixels, read.target.kind) == ("photos", 9, "label")
    assert made.outputs["examples"].type is standard_artifacts.Examples
    assert made.outputs["rejected"].type is Rejected


def test_what_later_stages_hold_the_data_against_is_no_part_of_the_cache_key():
    photos = {"source": "image_folder", "path": "photos"}
    one, other, third = (
        component(**photos, **changed).exec_properties
        for changed in (
            {},
            {"max_rejected": 0.5, "schema": "s.pbtxt"},
            {"input": {"max_bytes": 9}},
        )
    )
    assert one == other != third
    later = {"input": {"image_size": [64, 64]}, "target": {"label_smoothing": 0.1}}
    assert component(**photos, **later).exec_properties == one
    asked = request(**photos, fingerprint="content")
    made = Parameters(
        data=asked.data, input=asked.input.options, target=asked.target.options, fingerprint="f1", code="c1"
    )
    assert Ingest(made).exec_properties == one


def test_executor_describes_the_artifacts(make_folder, run):
    examples, rejected = run(source="image_folder", path=str(make_folder({"cat": 40, "dog": 40})))
    assert examples.splits == ["train", "eval", "test"]
    assert examples.span == 0
    assert read_summary(rejected.uri).used_count == 80


@pytest.mark.slow
def test_span_is_that_of_the_newest(make_folder, run, tmp_path):
    make_folder({"cat": 40, "dog": 40}, "data/7")
    examples, _ = run(source="image_folder", path=f"{tmp_path}/data/{{SPAN}}")
    assert examples.span == 7
