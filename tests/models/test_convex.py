"""The losses that heads are solved for: derivatives, values as Keras has them, and their optima."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from graft.models import linear
from graft.models.convex import Sigmoid, Softmax, Squares
from graft.models.options import HeadOptions

RNG = np.random.default_rng(0)
N, WIDTH, OUTPUTS = 200, 12, 3
FEATURES = (RNG.normal(size=(N, WIDTH)) * 10 ** RNG.uniform(-1, 1, WIDTH) + 2).astype(np.float32)
HIDDEN = (FEATURES - FEATURES.mean(0)) / FEATURES.std(0) @ RNG.normal(size=(WIDTH, OUTPUTS))
LABELS = (HIDDEN + RNG.gumbel(size=(N, OUTPUTS))).argmax(1)
SEVERAL = (HIDDEN + RNG.logistic(size=(N, OUTPUTS)) > 1).astype(np.float32)
NUMBERS = ((HIDDEN + RNG.normal(size=(N, OUTPUTS))) / HIDDEN.std(0)).astype(np.float32)
CASES = [(Softmax(OUTPUTS), LABELS), (Softmax(OUTPUTS, 0.2), LABELS), (Sigmoid(OUTPUTS), SEVERAL)]
CASES += [(Squares(OUTPUTS), NUMBERS)]
IDS = ["softmax", "smoothed softmax", "sigmoid", "squares"]


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=IDS)
def test_derivatives_are_those_of_the_losses(loss, targets):
    outputs = RNG.normal(size=(5, OUTPUTS)) * 3
    _, found = loss.losses(outputs.copy(), targets[:5], True)
    step = 1e-5
    for output in range(OUTPUTS):
        ahead, behind = outputs.copy(), outputs.copy()
        ahead[:, output] += step
        behind[:, output] -= step
        slope = (loss.losses(ahead, targets[:5], True)[0] - loss.losses(behind, targets[:5], True)[0]) / (2 * step)
        np.testing.assert_allclose(found[:, output], slope, atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "targets", "theirs"),
    [
        (Softmax(OUTPUTS), LABELS, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (Softmax(OUTPUTS, 0.2), LABELS, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (Sigmoid(OUTPUTS), SEVERAL, keras.losses.BinaryCrossentropy(from_logits=True)),
        (Squares(OUTPUTS), NUMBERS, keras.losses.MeanSquaredError()),
    ],
    ids=IDS,
)
def test_measured_losses_are_those_of_keras(loss, targets, theirs):
    """Smoothing is for training only."""
    outputs = np.concatenate([HIDDEN, 60 * HIDDEN]).astype(np.float32)
    twice = np.concatenate([targets, targets])
    assert loss.losses(outputs.copy(), twice, False)[0].mean() == pytest.approx(float(theirs(twice, outputs)), rel=1e-5)


def test_several_labels_are_logistic_regressions_of_their_own():
    model, _, converged = linear.Solver(linear.Examples(FEATURES, SEVERAL), Sigmoid(OUTPUTS)).solve(1e-3)
    assert converged
    for label in range(OUTPUTS):
        # The loss is the mean over labels, so each alone weighs a third of itself against the penalty.
        single = LogisticRegression(C=1 / (2 * 1e-3 * N * OUTPUTS), tol=1e-8, max_iter=20_000)
        single.fit(FEATURES.astype(np.float64), SEVERAL[:, label])
        np.testing.assert_allclose(model.kernel[:, label], single.coef_[0], atol=5e-3)


@pytest.mark.parametrize("weighed", [False, True])
def test_numbers_are_ridge_regression(weighed):
    weights = RNG.uniform(0.2, 3, N) if weighed else np.ones(N)
    examples = linear.Examples(FEATURES, NUMBERS, weights.astype(np.float32))
    model, iterations, converged = linear.Solver(examples, Squares(OUTPUTS)).solve(1e-3)
    theirs = Ridge(alpha=1e-3 * OUTPUTS * weights.sum()).fit(FEATURES.astype(np.float64), NUMBERS, weights)
    assert converged and iterations < 30
    np.testing.assert_allclose(model.kernel, theirs.coef_.T, atol=2e-3)
    np.testing.assert_allclose(model.bias, theirs.intercept_, atol=2e-2)


@pytest.mark.parametrize(("loss", "targets"), CASES, ids=IDS)
def test_a_path_begins_at_the_prior_and_passes_its_optimum(loss, targets):
    train, held_out = (linear.Examples(FEATURES[rows], targets[rows]) for rows in (slice(0, 40), slice(40, None)))
    path = linear.solve(train, held_out, loss, HeadOptions())
    losses = [step.figures["val_loss"] for step in path.steps]
    constant = linear.solve(train, held_out, loss, HeadOptions(l2=1e9)).steps[0].figures["val_loss"]
    assert losses[0] == pytest.approx(constant, rel=0.2) and min(losses) < 0.95 * constant
    assert 0 < path.chosen < len(losses) - 1
    assert set(path.steps[0].flat) == {"l2", "loss", "val_loss", "iterations", "converged", "seconds"}


def test_figures_may_be_of_the_first_examples_alone():
    both = linear.join(
        linear.Examples(FEATURES[:50], LABELS[:50]), linear.Examples(FEATURES[50:], LABELS[50:]), measured=50
    )
    model, _, _ = linear.Solver(both, Softmax(OUTPUTS)).solve(1e-2)

    def figures(outputs, targets):
        return {"right": outputs.argmax(axis=1) == targets}

    found = linear.measure(model, both, Softmax(OUTPUTS), figures)
    assert found == linear.measure(model, linear.Examples(FEATURES[:50], LABELS[:50]), Softmax(OUTPUTS), figures)
