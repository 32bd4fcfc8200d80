"""The component, its executor as TFX calls it, and that TFX reads what it writes."""

import pytest
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from graft.components.artifacts import Rejected
from graft.components.beam import LOCAL_BEAM_ARGS
from graft.components.ingest.component import Ingest
from graft.components.ingest.executor import Executor, Parameters
from graft.components.ingest.options import DataOptions
from graft.components.ingest.summary import read_summary


def artifact(kind, path):
    one = kind()
    one.uri = str(path)
    return one


@pytest.fixture
def run(tmp_path):
    """Runs the executor with a component's own parameters; returns its two artifacts."""

    def do(options: DataOptions):
        outputs = {
            "examples": [artifact(standard_artifacts.Examples, tmp_path / "examples")],
            "rejected": [artifact(Rejected, tmp_path / "rejected")],
        }
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(LOCAL_BEAM_ARGS), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
        )
        Executor(context).Do({}, outputs, Ingest(Parameters(data=options, fingerprint="fingerprint")).exec_properties)
        return outputs["examples"][0], outputs["rejected"][0]

    return do


def test_component_declares_its_parameters_and_outputs():
    options = DataOptions(source="image_folder", path="photos", max_pixels=9)
    component = Ingest(Parameters(data=options, fingerprint="f1", code="c1"))
    assert component.exec_properties["fingerprint"] == "f1" and component.exec_properties["code"] == "c1"
    assert Parameters.load(component.exec_properties).data.max_pixels == 9
    assert component.outputs["examples"].type is standard_artifacts.Examples
    assert component.outputs["rejected"].type is Rejected


def test_what_later_stages_hold_the_data_against_is_no_part_of_the_cache_key():
    photos = {"source": "image_folder", "path": "photos"}
    one, other, third = (
        Ingest(Parameters(data=DataOptions(**photos, **changed), fingerprint="f1")).exec_properties
        for changed in ({}, {"max_rejected": 0.5, "schema": "s.pbtxt", "fingerprint": "content"}, {"max_bytes": 9})
    )
    assert one == other != third


def test_executor_describes_the_artifacts(make_folder, run):
    examples, rejected = run(DataOptions(source="image_folder", path=str(make_folder({"cat": 40, "dog": 40}))))
    assert examples.splits == ["train", "eval", "test"]
    assert examples.span == 0
    assert read_summary(rejected.uri).used_count == 80


def test_span_is_that_of_the_newest(make_folder, run, tmp_path):
    make_folder({"cat": 40, "dog": 40}, "data/7")
    examples, _ = run(DataOptions(source="image_folder", path=f"{tmp_path}/data/{{SPAN}}"))
    assert examples.span == 7


@pytest.mark.slow
def test_statistics_gen_counts_every_example(make_folder, run, tmp_path):
    from tfx.components.statistics_gen import executor

    examples, rejected = run(DataOptions(source="image_folder", path=str(make_folder({"cat": 60, "dog": 60}))))
    statistics = artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics")
    context = executor.Executor.Context(
        beam_pipeline_args=list(LOCAL_BEAM_ARGS), tmp_dir=str(tmp_path / "tmp"), unique_id="2"
    )
    executor.Executor(context).Do({"examples": [examples]}, {"statistics": [statistics]}, {})
    used = read_summary(rejected.uri).used
    for split in ("train", "eval", "test"):
        view = stats_artifact_utils.load_statistics(statistics, split).proto()
        assert view.datasets[0].num_examples == sum(used[split].values())
        names = {feature.path.step[0] for feature in view.datasets[0].features}
        assert names == {"input", "label", "file", "sha256", "width", "height", "format"}
