"""A method is one file: with another loss, other streams, other optimizers, another figure that decides."""

import numpy as np
import pytest
from test_loop import Killed, assert_equal_weights, fit, without_seconds
from two_domains import write_domains

from graft.models.checkpoint import Checkpoint
from graft.models.transfer import METHODS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name in ("l2_sp", "coral"):
        monkeypatch.setitem(METHODS._modules, name, f"{name}_method")


@pytest.fixture(scope="module")
def domains(training_input, tmp_path_factory):
    return write_domains(training_input, tmp_path_factory.mktemp("domains"))


def test_a_loss_over_variables_keeps_them_near_their_start(training_input):
    distances = []
    for weight in (0.0, 10.0):
        task = training_input.task({"method": "l2_sp", "weight": weight})
        start = [variable.numpy() for variable in task.backbone.variables]
        history = fit(task)
        moved = zip(start, task.backbone.variables, strict=True)
        distances.append(sum(((old - new.numpy()) ** 2).sum() for old, new in moved))
        assert set(history.epochs[0]) == {
            *("epoch", "phase", "loss", "distance", "accuracy", "val_loss", "val_accuracy", "seconds")
        }
        assert history.epochs[0]["distance"] >= 0
    assert 0 < distances[1] < 0.1 * distances[0]


def test_labelled_source_and_unlabelled_target(training_input, domains):
    task = training_input.task({"method": "coral", "epochs": 4}, features=domains)
    history = fit(task)
    entries = history.epochs
    assert set(entries[0]) == {*("epoch", "phase", "loss", "coral", "accuracy", "val_loss", "val_accuracy", "seconds")}
    assert (history.monitor, history.lower_is_better) == ("val_accuracy", False)
    assert history.best["val_accuracy"] == max(entry["val_accuracy"] for entry in entries)
    assert history.steps == 4 * -(-30 // 8), "the source is the main stream here"
    # What the target's labels say reaches nothing but the judgement.
    other = training_input.task({"method": "coral", "epochs": 4}, features=domains)
    other.train.targets[:] = 0
    assert without_seconds(fit(other)) == without_seconds(history)


def test_the_penalty_draws_covariances_together(training_input, domains):
    penalties = []
    for weight in (0.0, 1e5):
        task = training_input.task({"method": "coral", "weight": weight}, features=domains)
        penalties.append(fit(task).epochs[-1]["coral"])
    assert penalties[1] < 0.5 * penalties[0]


def test_killed_over_two_streams_and_two_optimizers_it_continues_bit_for_bit(training_input, domains, tmp_path):
    def task():
        return training_input.task({"method": "coral", "epochs": 4}, features=domains, augment={"flip": True})

    whole = task()
    uninterrupted = fit(whole)
    checkpoint = Checkpoint(tmp_path, "run")
    with pytest.raises(Killed):
        fit(task(), checkpoint, stop_after=3)
    continued = task()
    history = fit(continued, checkpoint)
    assert history.resumed_at == 2
    assert_equal_weights(whole, continued)
    assert without_seconds(history) == without_seconds(uninterrupted)
    assert np.isfinite(history.best["val_loss"])
