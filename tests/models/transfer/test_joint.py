"""Joint training: what is minimised, its limits, and that two streams survive several devices."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from test_loop import assert_equal_weights, fit, without_seconds
from two_domains import TARGET_ROWS, write_domains

from graft.models.errors import GraftError

TRAINED = {"solver": "adam", "dropout": 0.0, "l2": 1e-3}
UNFREEZE = {"method": "joint", "weight": 0.5, "unfreeze": 1.0, "learning_rate": 1e-3, "epochs": 2}


@pytest.fixture(scope="module")
def domains(training_input, tmp_path_factory):
    return write_domains(training_input, tmp_path_factory.mktemp("domains"))


def cross_entropy(task, split) -> float:
    """Mean over a split, of the head on cached features."""
    logits = task.head(np.asarray(split.features[:]), training=False).numpy().astype(np.float64)
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), split.targets]
    return float(losses.mean())


def objective(task, weight: float) -> float:
    """L_target + weight * L_source + the penalty of 1e-3."""
    kernel = task.head.layers[-1].kernel.numpy().astype(np.float64)
    return cross_entropy(task, task.train) + weight * cross_entropy(task, task.source) + 1e-3 * (kernel**2).sum()


def test_domains_part_the_rows(training_input, domains):
    task = training_input.task({"method": "joint"}, features=domains)
    assert (len(task.train), len(task.source), len(task.eval)) == (12, 30, 9)
    whole = np.load(domains / "Split-train" / "features.npy")
    np.testing.assert_array_equal(np.concatenate([task.train.features[:], task.source.features[:]]), whole)


@pytest.mark.slow
@pytest.mark.parametrize("head", [TRAINED, {"solver": "lbfgs"}], ids=["trained", "solved"])
def test_weight_0_is_training_on_the_target_alone(training_input, domains, head):
    joint = training_input.task({"method": "joint", "weight": 0.0}, head=head, features=domains)
    alone = training_input.task({"method": "frozen"}, head=head, features=domains)
    histories = [fit(joint), fit(alone)]
    assert_equal_weights(joint, alone)
    for with_source, without in zip(*map(without_seconds, histories), strict=True):
        assert {key: with_source[key] for key in without} == without
    assert ("source_loss" in histories[0].epochs[0]) is (head == TRAINED)


@pytest.mark.slow
def test_weight_0_is_training_on_the_target_alone_on_inputs_too(training_input, domains):
    method = {**UNFREEZE, "weight": 0.0}
    joint = training_input.task(method, head=TRAINED, features=domains, augment={"flip": True})
    fine_tune = {"method": "fine_tune", "epochs": 2, "learning_rate": 1e-3}
    alone = training_input.task(fine_tune, head=TRAINED, features=domains, augment={"flip": True})
    fit(joint)
    fit(alone)
    assert_equal_weights(joint, alone)


@pytest.mark.parametrize("weight", [0.2, 3.0])
def test_a_solved_head_is_at_the_optimum_of_the_weighed_sum(training_input, domains, weight):
    task = training_input.task({"method": "joint", "weight": weight}, head={"l2": 1e-3}, features=domains)
    history = fit(task)
    features = np.concatenate([task.train.features[:], task.source.features[:]]).astype(np.float64)
    targets = np.concatenate([task.train.targets, task.source.targets])
    shares = np.array([1 / len(task.train)] * len(task.train) + [weight / len(task.source)] * len(task.source))
    theirs = LogisticRegression(C=1 / (2 * 1e-3), tol=1e-10, max_iter=50_000).fit(features, targets, shares)
    ours = objective(task, weight)
    task.head.layers[-1].kernel.assign(theirs.coef_.T)
    task.head.layers[-1].bias.assign(theirs.intercept_)
    assert ours <= objective(task, weight) + 1e-5
    # The penalty that goes on with the head is that of the sum, and figures are of the target's examples.
    assert float(sum(task.head.losses)) == pytest.approx(1e-3 * float((theirs.coef_**2).sum()), rel=1e-3)
    assert history.path[0]["l2"] == pytest.approx(1e-3)
    assert history.best["loss"] == pytest.approx(cross_entropy(task, task.train), abs=1e-3)


def test_a_trained_head_minimises_the_same_sum(training_input, domains):
    method, train = {"method": "joint", "weight": 3.0}, {"epochs": 150, "patience": 150, "learning_rate": 0.05}
    task = training_input.task(method, head=TRAINED, features=domains, **train)
    solved = training_input.task(method, head={"l2": 1e-3}, features=domains)
    start = objective(task, 3.0)
    fit(task)
    fit(solved)
    best = objective(solved, 3.0)
    assert best < objective(task, 3.0) + 1e-6
    assert objective(task, 3.0) < best + 0.2 * (start - best)


@pytest.mark.slow
def test_only_eval_examples_of_the_target_choose(training_input, domains, tmp_path):
    method = {"method": "joint"}
    other = write_domains(training_input, tmp_path)
    labels = np.load(other / "Split-eval" / "labels.npy")
    labels[TARGET_ROWS["eval"] :] = 0
    np.save(other / "Split-eval" / "labels.npy", labels)
    histories = [fit(training_input.task(method, features=features)) for features in (domains, other)]
    assert without_seconds(histories[0]) == without_seconds(histories[1])
    labels[: TARGET_ROWS["eval"]] = 0
    np.save(other / "Split-eval" / "labels.npy", labels)
    assert without_seconds(fit(training_input.task(method, features=other))) != without_seconds(histories[0])


def test_a_source_helps_and_one_with_shuffled_labels_does_harm(training_input, domains, tmp_path):
    broken = write_domains(training_input, tmp_path)
    labels = np.load(broken / "Split-train" / "labels.npy")
    few = TARGET_ROWS["train"]
    labels[few:] = (labels[few:] + 1) % 3
    np.save(broken / "Split-train" / "labels.npy", labels)
    joint, loss = {"method": "joint", "weight": 2.0}, {}
    cases = {"helps": (joint, domains), "harms": (joint, broken), "alone": ({"method": "frozen"}, domains)}
    for name, (method, features) in cases.items():
        loss[name] = fit(training_input.task(method, head={"solver": "lbfgs"}, features=features)).best["val_loss"]
    assert loss["helps"] < loss["alone"] < loss["harms"]


def test_without_a_source_it_is_refused(training_input):
    with pytest.raises(GraftError, match=r"transfer\.method: 'joint' learns from examples of two domains; .* none"):
        fit(training_input.task({"method": "joint"}))
