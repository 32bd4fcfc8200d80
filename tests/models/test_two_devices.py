"""A training on two devices is that on one, up to the order of summation: no dropout, and no draw for each example.

Logical devices must be made before TensorFlow starts: one process trains all cases on two of them, one after the other.
"""

import json

import numpy as np
import pytest
from test_trainer import FINE_TUNE, probabilities, run_process
from two_domains import write_domains

from graft.models import trainer

pytestmark = pytest.mark.slow

TRAINED = {"solver": "adam", "dropout": 0.0}
RATES = {"schedule": "cosine", "warmup": 0.25, "layer_decay": 0.5, "head_multiplier": 3.0}
CASES = {
    "a network of Keras": {"transfer": FINE_TUNE, "head": TRAINED},
    "a network of TF-Hub": {"transfer": FINE_TUNE, "head": TRAINED},
    "several groups and a cut gradient": {
        "transfer": {**FINE_TUNE, **RATES, "head_epochs": 1, "optimizer": "adamw", "clip": 0.1},
        "head": {**TRAINED, "l2": 0.0},
    },
    "several streams": {
        "transfer": {"method": "joint", "weight": 0.5, "unfreeze": 1.0, "learning_rate": 1e-3, "epochs": 2},
        "head": {**TRAINED, "l2": 1e-3},
    },
}


@pytest.fixture(scope="module")
def arguments(training_input, tmp_path_factory):
    """arguments(case, folder): of `run_fn`."""
    domains = write_domains(training_input, tmp_path_factory.mktemp("domains"))

    def make(case, folder):
        hub = case == "a network of TF-Hub"
        backbone = training_input.hub_backbone if hub else training_input.backbone
        features = training_input.hub_features if hub else training_input.features
        features = domains if case == "several streams" else features
        config = {**CASES[case], "backbone": {"handle": str(backbone)}, "features_path": str(features)}
        return training_input.fn_args(folder, **config)

    return make


@pytest.fixture(scope="module")
def on_two(arguments, tmp_path_factory):
    """Case -> folder of its training on two devices."""
    folders = {case: tmp_path_factory.mktemp("two") for case in CASES}
    several = [arguments(case, folder) for case, folder in folders.items()]
    result = run_process(*several, options=("--devices", "2"))
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.count("trained on 2 replicas") == len(CASES)
    return folders


@pytest.mark.parametrize("case", CASES)
def test_two_devices_train_as_one(training_input, arguments, on_two, tmp_path, case):
    trainer.run_fn(arguments(case, tmp_path))
    one, two = (json.loads((out / "run" / "history.json").read_text())["epochs"] for out in (tmp_path, on_two[case]))
    names = sorted(name for name in one[0] if name.endswith("loss"))
    assert {"loss", "val_loss"} <= set(names) and ("source_loss" in names) == (case == "several streams")
    losses = [[[entry[name] for name in names] for entry in epochs] for epochs in (one, two)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-3)
    images = training_input.images["test"]
    answers = [probabilities(out / "model", images) for out in (tmp_path, on_two[case])]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-2)
