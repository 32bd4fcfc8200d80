"""What objectives say reaches the optimizer and the history as they say it."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from test_loop import assert_equal_weights, fit, without_seconds

from graft.models import loop
from graft.models.errors import GraftError
from graft.models.phase import Outcome
from graft.models.standard_phases import head_phase

TRAINED, SOLVED = {"solver": "adam"}, {"solver": "lbfgs"}
FINE_TUNE = {"method": "fine_tune", "head_epochs": 1, "epochs": 1, "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("head", "method"),
    [(TRAINED, None), (SOLVED, None), pytest.param(TRAINED, FINE_TUNE, marks=pytest.mark.slow)],
    ids=["trained", "solved", "fine-tuned"],
)
def test_weights_of_examples_are_those_of_their_class_where_they_agree(training_input, tmp_path, head, method):
    features = tmp_path / "features"
    shutil.copytree(training_input.features, features)
    by_class = training_input.task(method, head=head, class_weights={"red": 5.0})
    for split in ("train", "eval"):
        labels = np.load(features / f"Split-{split}" / "labels.npy")
        red = labels == by_class.target.names.index("red")
        np.save(features / f"Split-{split}" / "weights.npy", np.where(red, 5, 1).astype(np.float32))
    by_example = training_input.task(method, head=head, features=features)
    assert without_seconds(fit(by_class)) == without_seconds(fit(by_example))
    assert_equal_weights(by_class, by_example)


def changed(task, change):
    """Trains the head with an objective that another one's outcome is handed through."""
    phase = head_phase(task, 2)
    supervised = phase.learn.objective
    phase.learn.objective = lambda batches: change(supervised(batches))
    return loop.run(task, [phase])


@pytest.mark.slow
def test_a_scalar_is_recorded_as_its_mean_and_minimised_with_its_weight(training_input):
    task, plain = training_input.task(head={"solver": "adam", "dropout": 0.0}), training_input.task()

    def drawn_to_one(outcome: Outcome) -> Outcome:
        bias = task.head.layers[-1].bias
        outcome.losses["distance"] = tf.reduce_sum((bias - 1.0) ** 2)
        outcome.weights["distance"] = 100.0
        outcome.figures["one"] = tf.constant(1.0)
        return outcome

    history = changed(task, drawn_to_one)
    fit(plain)
    first, last = history.epochs
    assert first["one"] == last["one"] == pytest.approx(1.0)
    assert 3 > first["distance"] > last["distance"] > 0
    assert task.head.layers[-1].bias.numpy().min() > plain.head.layers[-1].bias.numpy().max()


@pytest.mark.slow
def test_a_loss_of_weight_0_is_recorded_and_changes_nothing(training_input):
    def watched(outcome: Outcome) -> Outcome:
        outcome.losses["double"] = 2 * outcome.losses["loss"]
        outcome.weights["double"] = 0.0
        return outcome

    tasks = [training_input.task(epochs=2) for _ in range(2)]
    history = changed(tasks[0], watched)
    fit(tasks[1])
    assert_equal_weights(*tasks)
    assert [entry["double"] for entry in history.epochs] == pytest.approx([2 * e["loss"] for e in history.epochs])


def test_a_loss_that_is_no_number_is_named(training_input):
    task = training_input.task()
    phase = head_phase(task, 1)
    supervised = phase.judge.objective

    def broken(batches) -> Outcome:
        outcome = supervised(batches)
        outcome.losses["source_loss"] = outcome.losses["loss"] * np.nan
        return outcome

    phase.judge.objective = broken
    with pytest.raises(GraftError, match=r"train: the source loss became nan in phase 'head', epoch 1; the learning"):
        loop.run(task, [phase])


def test_a_figure_that_nobody_tells_cannot_decide(training_input):
    task = training_input.task()
    phase = head_phase(task, 1)
    phase.monitor = "val_f1"
    with pytest.raises(GraftError, match=r"phase 'head' monitors 'val_f1'; its objectives tell loss, accuracy, val_l"):
        loop.run(task, [phase])
