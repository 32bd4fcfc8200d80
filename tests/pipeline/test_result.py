"""What the shared run left: parity of the served model, TFMA beside our own figures, runs and lineage."""

import html
import json
import pathlib

import numpy as np
import pytest
from workshop import STAGES

from graft.components.predict.predictions import load
from graft.components.quality_gate.executor import read_evaluation
from graft.models.examples import read_examples, split_files
from graft.models.inputs import exported_input
from graft.serving.store import open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def figures(workshop, first_run) -> dict:
    """What the quality gate of the first run measured."""
    return json.loads((oldest(workshop, "quality_gate", "quality") / "figures.json").read_text())


def oldest(workshop, stage: str, key: str):
    """Folder of a stage's artifact of the first run."""
    return min((workshop.folder / "runs/shapes/artifacts" / stage / key).iterdir(), key=lambda p: int(p.name))


def test_served_answers_equal_those_in_process_on_the_whole_test_split(workshop, first_run):
    from graft.models.predict import SavedModelPredictor
    from graft.serving.candidate import candidate_server
    from graft.serving.client import Client

    path = open_store(workshop.store).version_path("shapes", 1)
    rows = read_examples(split_files(str(oldest(workshop, "ingest", "examples")), "test"), ("input",))
    images = [row["input"] for row in rows]
    with SavedModelPredictor(path) as predictor:
        expected = predictor.predict(images)
    with candidate_server("shapes", path) as server, Client(server.grpc_address, "shapes") as client:
        served = client.predict({"image_bytes": np.array(images, object)})["probabilities"]
    assert served.shape == (len(images), 3) and len(images) > 20
    np.testing.assert_allclose(served, expected, atol=1e-5)
    kept = load(str(oldest(workshop, "predict", "predictions")))
    np.testing.assert_allclose(kept.answers, expected, atol=1e-5)


def test_tfma_agrees_with_our_own_figures(workshop, first_run, figures):
    overall, slices = read_evaluation(str(oldest(workshop, "evaluate", "evaluation")))
    assert overall["accuracy"] == pytest.approx(first_run.value["metrics"]["accuracy"], abs=1e-6)
    assert overall["example_count"] == first_run.value["metrics"]["examples"]
    assert set(slices) == {("camera", v) for v in ("left", "right")} | {("year", v) for v in ("2020", "2021", "2022")}
    kept = load(str(oldest(workshop, "predict", "predictions")))
    scores = kept.target.scores(kept.encoded, kept.answers)
    for (column, value), row in slices.items():
        inside = np.array(kept.slices[column]) == value
        assert figures["slices"][column][value]["accuracy"] == row["accuracy"] == scores[inside].mean()
        assert figures["slices"][column][value]["examples"] == row["example_count"] == inside.sum()


def test_tfma_can_evaluate_the_pushed_model_by_its_own_signatures(workshop, first_run, tmp_path):
    """As somebody would who has the store and the Examples, but not the run."""
    import tensorflow_model_analysis as tfma
    import tfx.components  # noqa: F401 - which mends TFMA 0.52
    from tensorflow_model_analysis.proto import config_pb2

    config = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                signature_name="evaluate_examples",
                preprocessing_function_names=["transform_features"],
                label_key="label",
                prediction_key="probabilities",
            )
        ],
        slicing_specs=[config_pb2.SlicingSpec()],
        metrics_specs=[
            config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name="SparseCategoricalAccuracy")])
        ],
    )
    path = str(open_store(workshop.store).version_path("shapes", 1))
    tfma.run_model_analysis(
        eval_shared_model=tfma.default_eval_shared_model(path, eval_config=config),
        eval_config=config,
        data_location=f"{oldest(workshop, 'ingest', 'examples')}/Split-test/*",
        output_path=str(tmp_path),
    )
    overall, _ = read_evaluation(str(tmp_path))
    assert overall["sparse_categorical_accuracy"] == pytest.approx(first_run.value["metrics"]["accuracy"], abs=1e-6)


def test_the_value_range_that_was_found_is_told_and_is_in_all_that_was_made(workshop, first_run):
    found = first_run.value["input"]
    assert (found["how"], found["fed"]) == ("probe", "value_range [0.0, 1.0]")
    run = json.loads((pathlib.Path(first_run.value["report"]).parent / "run.json").read_text())
    assert run["input"] == found
    assert found["text"] in html.unescape(pathlib.Path(first_run.value["report"]).read_text())
    made = json.loads((oldest(workshop, "features", "features") / "backbone.json").read_text())
    assert made["input"]["value_range"] == [0.0, 1.0]
    assert exported_input(open_store(workshop.store).version_path("shapes", 1)).value_range == (0.0, 1.0)
    # The same range by hand is the same pipeline: nothing is computed, and what was found out still holds.
    again = workshop.again()
    assert all(stage["cached"] for stage in again.value["stages"]), again.value["stages"]
    assert again.value["input"]["how"] == "given" and again.value["input"]["scores"] == found["scores"]
    assert "input_worse" not in [warning["code"] for warning in again.value["warnings"]]


def test_models_verify_of_the_pushed_version(workshop, first_run):
    outcome = workshop.graft("models", "verify", "shapes", "1", "--store", str(workshop.store))
    assert (outcome.code, outcome.value) == (0, {"faults": [], "foreign": []})


def test_runs(workshop, first_run):
    rows = workshop.graft("runs").value["runs"]
    first = next(row for row in rows if row["run"] == first_run.value["run_id"])
    assert first["pipeline"] == "shapes" and first["version"] == 1 and first["seconds"] > 0
    assert (first["stages"], first["cached"], first["status"]) == (len(STAGES), 0, "passed")


def test_a_run_and_the_version_that_it_pushed_are_one_model(workshop, first_run):
    run = first_run.value["run_id"]
    outcome = workshop.graft("compare", run, "1")
    found = outcome.value
    assert outcome.code == 0 and found["notes"] == [] and found["config"] == []
    assert found["second"]["run"] == run and found["judged"]["test"]["pairing"] == "paired"
    for name, row in found["judged"]["figures"].items():
        assert row["difference"]["value"] == 0 and not row["difference"]["distinguishable"]
        assert row["first"]["value"] == pytest.approx(first_run.value["metrics"][name])
    told = json.loads((workshop.folder / "runs/shapes/runs" / run / "run.json").read_text())
    assert told["config"]["name"] == "shapes"
    [listed] = (row for row in workshop.graft("models", "list").value["models"] if row["version"] == 1)
    assert listed["metrics"]["accuracy"] == first_run.value["metrics"]["accuracy"]


def test_lineage(workshop, first_run):
    outcome = workshop.graft("lineage", "1")
    assert outcome.code == 0
    text = json.dumps(outcome.value)
    assert first_run.value["run_id"] in text
    assert str(workshop.config.parent / "backbone") in text and str(workshop.config.parent / "data") in text
    assert str(first_run.value["metrics"]["accuracy"])[:8] in text


def test_lineage_of_a_version_that_was_never_pushed(workshop, first_run):
    outcome = workshop.graft("lineage", "99")
    assert outcome.code == 2
    assert "no push of version '99'" in outcome.value["error"]
