"""The serving check on the model of the shared run: open, and closed for each of its reasons."""

import numpy as np
import pytest
from tfx.types import standard_artifacts

from graft.components import gates
from graft.components.predict import predictions
from graft.components.serving_check import executor
from graft.components.serving_check.executor import Executor, Parameters
from graft.serving.client import Client

pytestmark = pytest.mark.slow


@pytest.fixture
def check(workshop, first_run, tmp_path):
    """check(predictions=folder, blessed=1, **options) -> the gates by name, and whether the model was blessed."""
    artifacts = workshop.folder / "runs" / "shapes" / "artifacts"

    def first(stage: str, key: str) -> str:
        return str(min((artifacts / stage / key).iterdir(), key=lambda path: int(path.name)))

    def run(predictions=None, blessed=1, tolerance=1e-4, latency_ms=None):
        examples, model = standard_artifacts.Examples(), standard_artifacts.Model()
        examples.uri, model.uri = first("ingest", "examples"), first("train", "model")
        answers, blessing = standard_artifacts.Examples(), standard_artifacts.ModelBlessing()
        answers.uri = str(predictions or first("predict", "predictions"))
        blessing.uri = first("quality_gate", "blessing")
        blessing.set_int_custom_property(gates.BLESSED, blessed)
        verdict = standard_artifacts.InfraBlessing()
        verdict.uri = str(tmp_path / "blessing")
        inputs = {"examples": [examples], "model": [model], "predictions": [answers], "model_blessing": [blessing]}
        given = Parameters(model_name="shapes", requests=8, tolerance=tolerance, latency_ms=latency_ms, trust=False)
        Executor().Do(inputs, {"blessing": [verdict]}, given.dump())
        found = {gate.name: gate for gate in gates.read_gates(verdict.uri)}
        return found, verdict.get_int_custom_property(gates.BLESSED)

    run.predictions = first("predict", "predictions")
    return run


@pytest.fixture
def tampered(check, tmp_path):
    """tampered(value) -> a copy of the in-process predictions with one probability replaced."""

    def make(value: float):
        kept = predictions.load(check.predictions)
        kept.answers[3, 1] = value
        kept.save(str(tmp_path / "predictions"))
        return tmp_path / "predictions"

    return make


def test_open(check):
    found, blessed = check(latency_ms=60_000)
    assert blessed == 1
    assert found["serving_parity"].passed and found["serving_parity"].value < 1e-5
    assert found["latency_ms"].passed and found["latency_ms"].value > 0


def test_images_beyond_one_message_go_in_several(check, monkeypatch):
    """Photos of some MB each are more than the 64 MiB that a server takes at once."""
    sent = []

    class Small(Client):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs, max_batch=3)

        def predict(self, inputs, *args, **kwargs):
            sent.append(len(inputs["image_bytes"]))
            return super().predict(inputs, *args, **kwargs)

    monkeypatch.setattr(executor, "Client", Small)
    found, blessed = check()
    assert blessed == 1 and found["serving_parity"].passed
    assert sent == [1] * 8 + [3, 3, 2]


def test_an_answer_that_differs_closes(check, tampered):
    found, blessed = check(predictions=tampered(2.0))
    assert blessed == 0
    assert not found["serving_parity"].passed and 1 <= found["serving_parity"].value <= 2


def test_an_answer_that_is_no_number_closes(check, tampered):
    found, blessed = check(predictions=tampered(np.nan))
    assert blessed == 0 and not found["serving_parity"].passed


def test_a_slow_answer_closes(check):
    found, blessed = check(latency_ms=1e-6)
    assert blessed == 0
    assert found["serving_parity"].passed and not found["latency_ms"].passed


def test_a_model_that_is_not_blessed_is_not_even_served(check):
    with pytest.raises(gates.GateClosed, match="quality_gate: gate closed"):
        check(blessed=0)
