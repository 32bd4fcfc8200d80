"""Fine-tuning as methods that add to it are compared with."""

import numpy as np
import pytest
from test_loop import fit, without_seconds
from training_input import weights

MOVING = {"epochs": 2, "head_epochs": 2, "learning_rate": 1e-2}
AUGMENT = {"flip": True}


@pytest.fixture(scope="session")
def is_fine_tuning(training_input):
    """Asserts that a method whose weights are 0 ends as plain fine-tuning does, bit for bit, and records more."""
    plain = {}

    def compare(method, told, kind="backbone"):
        features = training_input.features if kind == "backbone" else training_input.hub_features
        if kind not in plain:
            task = training_input.task({"method": "fine_tune", **MOVING}, kind, features=features, augment=AUGMENT)
            rows = without_seconds(fit(task))
            plain[kind] = weights(task.backbone) + weights(task.head), rows
        expected, history = plain[kind]
        other = training_input.task({**MOVING, **method}, kind, features=features, augment=AUGMENT)
        rows = without_seconds(fit(other))
        for ended, wanted in zip(weights(other.backbone) + weights(other.head), expected, strict=True):
            np.testing.assert_array_equal(ended, wanted)
        for ours, theirs in zip(rows, history, strict=True):
            moving = theirs["phase"] == "fine_tune"
            assert {key: ours[key] for key in theirs} == {**theirs, "phase": ours["phase"]}
            assert ours.keys() - theirs.keys() == (set(told) if moving else set())

    return compare
