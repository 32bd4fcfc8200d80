"""A head that is solved within the shared loop: the default, its history, its penalty, killed and continued."""

import numpy as np
import pydantic
import pytest
from test_loop import assert_equal_weights, fit, fit_and_leave, without_seconds
from training_input import weights

from graft.models import convex, linear
from graft.models.checkpoint import Checkpoint
from graft.models.options import HeadOptions
from graft.models.transfer import METHODS


@pytest.mark.parametrize(
    ("options", "solved"),
    [
        ({}, True),
        ({"dropout": 0.0}, True),
        ({"solver": "lbfgs", "l2": 0.1}, True),
        ({"dropout": 0.1}, False),
        ({"hidden": [8]}, False),
        ({"solver": "adam"}, False),
    ],
)
def test_a_linear_head_is_solved_unless_told_otherwise(options, solved):
    head = HeadOptions(**options)
    assert head.solved is solved
    assert head.dropout_rate == options.get("dropout", 0.0 if solved else 0.2)
    assert head.penalty == options.get("l2", 0.0 if solved else 1e-4)


@pytest.mark.parametrize("options", [{"solver": "lbfgs", "hidden": [8]}, {"solver": "lbfgs", "dropout": 0.5}])
def test_what_cannot_be_solved_is_refused(options):
    with pytest.raises(pydantic.ValidationError, match="solves a linear head without dropout"):
        HeadOptions(**options)


@pytest.mark.parametrize("options", [{"hidden": [8]}, {"solver": "adam"}, {"dropout": 0.5}])
def test_refit_needs_a_solved_head(options):
    with pytest.raises(pydantic.ValidationError, match="refit needs a head that is solved"):
        HeadOptions(refit=True, **options)


def measure(kernel, bias, examples):
    def figures(outputs, targets):
        return {"accuracy": outputs.argmax(axis=1) == targets}

    return linear.measure(linear.Linear(kernel, bias), examples, convex.Softmax(3), figures)


def test_frozen_solves_the_head_and_touches_nothing_else(training_input):
    task = training_input.task(head={"solver": "auto"})
    backbone = weights(task.backbone)
    history = fit(task)
    for before, after in zip(backbone, weights(task.backbone), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [entry["phase"] for entry in history.epochs] == ["head"]
    assert history.best["val_loss"] == min(step["val_loss"] for step in history.path)
    kernel, bias = (v.numpy() for v in task.head.trainable_variables)
    evaluate = task.eval.examples
    found = measure(kernel, bias, evaluate)
    assert found == {"loss": pytest.approx(history.best["val_loss"]), "accuracy": history.best["val_accuracy"]}
    assert history.allowed == {"head": 4}
    assert history.max_epochs == 4, "what a trained head would be given is the budget of the references"


def test_it_ends_below_a_head_that_is_trained(training_input):
    solved, trained = training_input.task(head={"l2": 1e-3}), training_input.task(head={"solver": "adam", "l2": 1e-3})
    fit(solved)
    fit(trained)

    def objective(task):
        kernel, bias = (v.numpy() for v in task.head.trainable_variables)
        train = task.train.examples
        return measure(kernel, bias, train)["loss"] + 1e-3 * (kernel**2).sum()

    assert objective(solved) < objective(trained)


def test_class_weights_and_smoothing_are_honoured(training_input):
    share, confidence = [], []
    for options in ({"class_weights": {"red": 0.01}}, {"class_weights": {"red": 100.0}}, {"label_smoothing": 0.6}):
        task = training_input.task(head={"l2": 1e-4}, **options)
        fit(task)
        logits = task.head(task.train.features, training=False).numpy()
        log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        share.append(np.exp(log_p[:, task.target.names.index("red")]).mean())
        confidence.append(np.exp(log_p.max(axis=1)).mean())
    # Every third image is red.
    assert share[0] < 0.3 < 0.4 < share[1]
    assert confidence[2] < min(confidence[:2]) - 0.1


def test_refit_keeps_the_figures_of_the_choice_and_learns_from_eval_too(training_input):
    plain, refitted = training_input.task(head={"refit": False}), training_input.task(head={"refit": True})
    histories = [fit(plain), fit(refitted)]
    assert [h.refit for h in histories] == [False, True]
    assert histories[0].best["val_loss"] == histories[1].best["val_loss"]
    evaluate = plain.eval.examples
    losses = [
        measure(*(v.numpy() for v in task.head.trainable_variables), evaluate)["loss"] for task in (plain, refitted)
    ]
    assert losses[1] < losses[0]


FINE_TUNE = {"method": "fine_tune", "epochs": 3, "learning_rate": 1e-3}


@pytest.mark.slow
def test_fine_tuning_starts_at_the_optimum_and_keeps_its_penalty(training_input):
    task = training_input.task(FINE_TUNE, head={"solver": "auto"})
    history = METHODS.module("fine_tune").fit(task)
    assert [entry["phase"] for entry in history.epochs] == ["head"] + ["fine_tune"] * 3
    chosen = history.path[history.chosen]["l2"]
    kernel = task.head.layers[-1].kernel
    assert float(sum(task.head.losses)) == pytest.approx(chosen * float((kernel.numpy() ** 2).sum()), rel=1e-5)


@pytest.mark.slow
def test_killed_while_fine_tuning_it_continues_bit_for_bit(training_input, tmp_path):
    whole = training_input.task(FINE_TUNE, head={"solver": "auto"})
    uninterrupted = fit_and_leave(whole, tmp_path, [3])
    continued = training_input.task(FINE_TUNE, head={"solver": "auto"})
    history = fit(continued, Checkpoint(tmp_path / "3", "t"))
    assert history.resumed_at == 2
    assert_equal_weights(whole, continued)
    assert without_seconds(history) == without_seconds(uninterrupted)
    assert [step["val_loss"] for step in history.path] == [step["val_loss"] for step in uninterrupted.path]
