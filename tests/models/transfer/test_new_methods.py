"""A method is one file: with other streams, other optimizers, another figure that decides."""

import pytest
from test_loop import assert_equal_weights, fit, fit_and_leave, without_seconds
from two_domains import write_domains

from graft.models.checkpoint import Checkpoint
from graft.models.transfer import METHODS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS._modules, "coral", "coral_method")
        yield


@pytest.fixture(scope="module")
def make(training_input, tmp_path_factory):
    """Makes a task of CORAL over two domains."""
    domains = write_domains(training_input, tmp_path_factory.mktemp("domains"))

    def make(weight=1.0):
        method = {"method": "coral", "weight": weight}
        return training_input.task(method, features=domains, augment={"flip": True})

    return make


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Where a training that dies after its third epoch leaves its state."""
    return tmp_path_factory.mktemp("left")


@pytest.fixture(scope="module")
def whole(make, left):
    """An uninterrupted training, and its history."""
    task = make()
    return task, fit_and_leave(task, left, [3])


ALWAYS = {"epoch", "phase", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"}


def test_labelled_source_and_unlabelled_target(make, whole):
    _, history = whole
    assert set(history.epochs[0]) == ALWAYS | {"coral"}
    assert (history.monitor, history.lower_is_better) == ("val_accuracy", False)
    assert history.best["val_accuracy"] == max(entry["val_accuracy"] for entry in history.epochs)
    assert history.steps == 3 * -(-30 // 8), "the source is the main stream here"
    blind = make()
    blind.train.targets[:] = 0
    assert without_seconds(fit(blind)) == without_seconds(history), "the target's labels reach the judgement only"


def test_the_penalty_draws_covariances_together(make, whole):
    assert fit(make(weight=1e5)).epochs[-1]["coral"] < 0.5 * whole[1].epochs[-1]["coral"]


def test_killed_over_two_streams_and_two_optimizers_it_continues_bit_for_bit(make, whole, left):
    continued = make()
    history = fit(continued, Checkpoint(left / "3", "t"))
    assert history.resumed_at == 2
    assert_equal_weights(whole[0], continued)
    assert without_seconds(history) == without_seconds(whole[1])
