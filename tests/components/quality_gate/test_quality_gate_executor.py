"""The quality gate over real predictions and TFMA's figures of them, for every target; and what a push hears."""

import json
import pathlib
import types

import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
import tfx.components  # noqa: F401 - which mends TFMA 0.52
from tfx.types import standard_artifacts
from tfx_bsl.tfxio import tf_example_record

from graft.components.artifacts import Quality
from graft.components.gates import read_gates
from graft.components.predict.predictions import Predictions
from graft.components.quality_gate import executor
from graft.components.quality_gate.executor import still_best
from graft.models.targets import make_target, parse_options
from graft.pipeline.stages.evaluate import eval_config


def rival(gap: float | None) -> dict:
    return {"version": 3, "examples": 0 if gap is None else 50, "gap": gap}


@pytest.mark.parametrize(
    ("best", "version"),
    [(None, 0), (rival(0.02), 3), (rival(0.0), 0), (rival(-0.02), 0), (rival(None), 0)],
    ids=["nothing served", "still better", "a tie", "the candidate is better", "nothing in common"],
)
def test_the_best_version_so_far(best, version):
    assert still_best(best) == version


def made(kind: str, n: int = 60) -> Predictions:
    """Answers that are mostly right; one of them holds what is no number."""
    rng = np.random.default_rng(0)
    hashes, slices = [b"%064d" % i for i in range(n)], {"camera": ["left", "right"] * (n // 2)}
    if kind == "label":
        encoded = rng.integers(0, 3, n)
        answers = rng.dirichlet(np.ones(3), n) / 2 + np.eye(3)[encoded] / 2
    elif kind == "labels":
        encoded = (rng.random((n, 3)) < 0.4).astype(np.float32)
        answers = encoded * 0.6 + rng.random((n, 3)) * 0.4
    else:
        encoded = rng.normal(5, 2, (n, 3)).astype(np.float32)
        answers = encoded + rng.normal(0, 0.5, (n, 3))
    answers[7, 1] = np.nan
    options = {"kind": kind} | ({"columns": ["a", "b", "c"]} if kind == "numbers" else {})
    target = make_target(parse_options(options), ["a", "b", "c"])
    if kind == "numbers":
        target = target.fitted(encoded)
    return Predictions(target, encoded, answers.astype(np.float32), hashes, slices, 3.0)


def evaluate(kept: Predictions, folder: pathlib.Path) -> str:
    """TFMA's result for saved predictions, as the stage configures it."""
    source = tf_example_record.TFExampleRecord(
        file_pattern=str(folder / "predictions/Split-test/*"),
        telemetry_descriptors=["test"],
        raw_record_column_name=tfma.ARROW_INPUT_COLUMN,
    )
    config = eval_config(kept.target.evaluation(), ["camera"])
    with beam.Pipeline("DirectRunner") as pipeline:
        _ = (
            pipeline
            | source.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(eval_config=config, output_path=str(folder / "evaluation"))
        )
    return str(folder / "evaluation")


def judge(kept: Predictions, folder: pathlib.Path, gates: dict) -> tuple[dict, dict, int]:
    """figures.json, gates by name, and whether the model is blessed."""
    kinds = {"examples": "Examples", "model": "Model", "predictions": "Examples", "evaluation": "ModelEvaluation"}
    inputs = {}
    for name, kind in kinds.items():
        inputs[name] = [getattr(standard_artifacts, kind)()]
        inputs[name][0].uri = str(folder / name)
    (folder / "examples/Split-test").mkdir(parents=True)
    (folder / "examples/Split-test/shard").touch()
    (folder / "model/Format-Serving").mkdir(parents=True)
    (folder / "model/Format-Serving/weights").write_bytes(b"x" * 1000)
    outputs = {"quality": [Quality()], "blessing": [standard_artifacts.ModelBlessing()]}
    for name, [artifact] in outputs.items():
        artifact.uri = str(folder / name)
    given = executor.Parameters(
        gates=gates, model_name="m", store=str(folder / "store"), run_key="", served=None, trust=True
    )
    executor.Executor().Do(inputs, outputs, given.dump())
    found = json.loads((folder / "quality/figures.json").read_text())
    blessed = outputs["blessing"][0].get_int_custom_property("blessed")
    return found, {gate.name: gate for gate in read_gates(str(folder / "quality"))}, blessed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "tfma_figure", "limit"),
    [
        ("label", "accuracy", {"accuracy": 0.5}),
        ("labels", "mean_label", {"micro_f1": 0.5}),
        ("numbers", "mean_absolute_error", {"mean_absolute_error": 2.0}),
    ],
)
def test_every_kind_of_target_is_measured_beside_tfma_and_judged(kind, tfma_figure, limit, tmp_path):
    kept = made(kind)
    kept.save(str(tmp_path / "predictions"))
    evaluate(kept, tmp_path)
    slices = {"camera": {"min_examples": 5, **limit}}
    found, gates, blessed = judge(kept, tmp_path, {**limit, "slices": slices, "model_size_mb": 0.0001})
    [name] = limit
    assert found["tfma"]["example_count"] == 60
    if kind == "label":
        assert found["tfma"][tfma_figure] == found["candidate"][tfma_figure]
    elif kind == "labels":
        assert found["tfma"][tfma_figure] == pytest.approx(kept.encoded.mean())
    else:
        valid = np.isfinite(kept.answers)
        expected = np.abs(np.where(valid, kept.answers, 0) - kept.encoded).mean()
        assert found["tfma"][tfma_figure] == pytest.approx(expected, rel=1e-5)
    for value in ("left", "right"):
        assert found["slices"]["camera"][value]["examples"] == 30
        assert set(found["slices"]["camera"][value]) == {"examples", *kept.target.slice_columns}
        assert gates[f"{name}[camera={value}]"].passed
    assert gates[name].passed and not gates["model_size_mb"].passed and not blessed
    assert not gates["invalid_answers"].passed and gates["invalid_answers"].value == 1


@pytest.fixture
def served(tmp_path, monkeypatch):
    """served(kind of input, predictions) -> makes `judge` find such a model in the store."""
    monkeypatch.setattr(executor, "read_evaluation", lambda uri: ({}, {}))
    version = {"version": 2, "path": str(tmp_path / "served"), "best": None}
    monkeypatch.setattr(executor, "find_baseline", lambda *_: version)

    def serve(input_kind: str, theirs: Predictions) -> None:
        kinds = {version["path"]: input_kind}
        monkeypatch.setattr(
            executor, "exported_input", lambda path: types.SimpleNamespace(kind=kinds.get(path, "image"))
        )
        monkeypatch.setattr(executor, "exported_target", lambda path: theirs.target)
        monkeypatch.setattr(executor.predictions, "answer", lambda *_: (theirs.target, theirs.answers))

    return serve


@pytest.mark.parametrize("kind", ["label", "labels", "numbers"])
def test_a_rival_that_is_better_closes_the_gate(kind, served, tmp_path):
    theirs, kept = made(kind), made(kind)
    kept.answers[:] = np.random.default_rng(0).permutation(kept.answers)
    theirs.answers[7] = theirs.answers[8]
    kept.save(str(tmp_path / "predictions"))
    served("image", theirs)
    found, gates, _ = judge(kept, tmp_path, {"baseline_tolerance": 0.02, "baseline": "best"})
    assert found["baseline"]["comparable"] and found["best"] == found["baseline"]
    assert not gates["baseline"].passed and gates["baseline"].value == found["baseline"]["gap"] > 0.02
    assert gates["baseline"].detail.startswith("served version 2 ")
    assert still_best(found["best"]) == 2


@pytest.mark.parametrize(
    ("input_kind", "kind", "told"),
    [
        ("text", "label", "served version 2 takes text, this model takes image: they cannot be compared"),
        ("image", "numbers", "served version 2 answers numbers, this model answers label: they cannot be compared"),
    ],
)
def test_a_rival_of_another_kind_closes_the_gate_in_words(input_kind, kind, told, served, tmp_path):
    kept = made("label")
    kept.save(str(tmp_path / "predictions"))
    served(input_kind, made(kind))
    found, gates, blessed = judge(kept, tmp_path, {"baseline_tolerance": 0.02, "classes": "same"})
    assert gates["baseline"].detail == told and not gates["baseline"].passed and not blessed
    assert "classes" not in gates and found["baseline"]["gap"] is None
