"""Pruning while fine-tuning: how much is 0, which weights are kept, its limits."""

import types

import numpy as np
import pytest
from pydantic import ValidationError
from test_loop import fit, without_seconds

from graft.models.errors import GraftError
from graft.models.transfer import prune

PRUNE = {"method": "prune", "sparsity": 0.75, "ramp_epochs": 1, "epochs": 3, "every": 2, "learning_rate": 1e-3}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["backbone", "hub_backbone"])
def test_each_tensor_is_as_sparse_as_asked_and_the_rest_is_left(training_input, kind):
    task = training_input.task(PRUNE, kind=kind)
    history = fit(task)
    for variable in task.backbone.trainable_variables:
        value = np.asarray(variable)
        zeros = int(value.size * 0.75) if value.ndim > 1 else 0
        assert np.sum(value == 0) == zeros or value.ndim < 2, variable.name
        assert variable.constraint is None
    assert all(np.all(np.asarray(variable)) for variable in task.head.trainable_variables if len(variable.shape) > 1)
    [finding] = history.findings
    assert finding.name == "pruned weights" and finding.value == pytest.approx(0.75, abs=0.01)
    shares = [epoch["sparsity"] for epoch in history.epochs if epoch["phase"] == "prune"]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(0.75, abs=0.01)


@pytest.mark.slow
def test_only_weights_of_full_sparsity_are_kept_though_earlier_ones_are_better(training_input):
    """At a rate that lets nothing recover, the head on the dense backbone is the best there was."""
    method = {**PRUNE, "sparsity": 0.95, "learning_rate": 1e-7, "head_epochs": 30}
    task = training_input.task(method, patience=50)
    history = fit(task)
    head = min(epoch["val_loss"] for epoch in history.epochs if epoch["phase"] == "head")
    ramp = next(epoch["epoch"] for epoch in history.epochs if epoch["phase"] == "prune")
    assert head < history.best["val_loss"] and history.best_epoch > ramp
    assert history.best["phase"] == "prune"


@pytest.mark.slow
def test_sparsity_0_is_fine_tuning_bit_for_bit(training_input):
    common = {"epochs": 2, "learning_rate": 1e-3}
    pruned = training_input.task({"method": "prune", "sparsity": 0.0, "ramp_epochs": 0, **common})
    tuned = training_input.task({"method": "fine_tune", **common})
    histories = [without_seconds(fit(task)) for task in (pruned, tuned)]
    assert all(epoch.get("sparsity", 0.0) == 0.0 for epochs in histories for epoch in epochs)
    rows = [[{**epoch, "phase": "", "sparsity": 0.0} for epoch in epochs] for epochs in histories]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ramp_epochs": 5, "epochs": 5}, "ramp_epochs is 5 of 5 epochs; allowed: fewer than epochs"),
        ({"gradual": True}, "leave out gradual true"),
        ({"recipe": "bit"}, "leave out recipe bit"),
        ({"layer_decay": 0.0}, "with layer_decay 0 most of it stays"),
    ],
)
def test_settings_that_it_cannot_honour_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        prune.Options(**settings)


def test_several_devices_are_refused(training_input):
    task = training_input.task(PRUNE)
    task.strategy = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(GraftError, match=r"'prune' trains on one device; there are 2\."):
        fit(task)
