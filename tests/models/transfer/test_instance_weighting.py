"""Weighted source examples: what is minimised, its limits, covariate shift, and what is refused."""

import dataclasses

import numpy as np
import pytest
from feature_tasks import feature_task
from sklearn.linear_model import LogisticRegression
from test_loop import assert_equal_weights, fit, without_seconds
from two_domains import write_domains

from graft.models.errors import GraftError
from graft.models.options import HeadOptions
from graft.models.outputs import head_outputs
from graft.models.task import Split
from graft.models.transfer import adapts, instance_weighting, parse_options

ESTIMATORS = ("kmm", "kliep", "classifier")
TRAINED = {"solver": "adam", "dropout": 0.0, "l2": 1e-3}


@pytest.fixture(scope="module")
def domains(training_input, tmp_path_factory):
    return write_domains(training_input, tmp_path_factory.mktemp("domains"))


def shifted(seed: int = 0, kind: str = "numbers"):
    """Rows of source, train and eval: one truth, curved, of which the target sees another part than the source."""
    rng = np.random.default_rng(seed)

    def rows(count: int, mean: float, deviation: float):
        x = rng.normal(mean, deviation, (count, 1))
        y = np.sinc(x) + rng.normal(0, 0.1, (count, 1))
        encoded = {"numbers": y, "labels": np.concatenate([y > 0, y > -0.1], axis=1), "label": y[:, 0] > 0}[kind]
        return x, encoded.astype(np.int64 if kind == "label" else np.float32)

    return {"source": rows(300, 1, 0.5), "train": rows(30, 2, 0.25), "evaluate": rows(30, 2, 0.25)}


@pytest.mark.slow
def test_weights_of_1_are_joint_training(training_input, domains, monkeypatch):
    monkeypatch.setattr(instance_weighting, "ratios", lambda source, target, options: np.ones(len(source)))
    for head in ({"solver": "lbfgs"}, TRAINED):
        tasks = [
            training_input.task({"method": method, "weight": 0.7}, head=head, features=domains)
            for method in ("instance_weighting", "joint")
        ]
        histories = [fit(task) for task in tasks]
        assert_equal_weights(*tasks)
        assert without_seconds(histories[0]) == without_seconds(histories[1])


@pytest.mark.parametrize("weight", [0.5, 4.0])
def test_a_solved_head_is_at_the_optimum_of_the_weighed_sum(weight):
    rows = shifted(kind="label")
    method = {"method": "instance_weighting", "weight": weight, "estimator": "classifier"}
    task = feature_task(method, **rows, head={"l2": 1e-3})
    fit(task)
    ratios = instance_weighting.ratios(rows["source"][0], rows["train"][0], task.options)
    assert ratios.mean() == pytest.approx(1) and ratios.std() > 0.5
    features, targets = (np.concatenate([rows["train"][i], rows["source"][i]]) for i in (0, 1))
    shares = np.concatenate([np.full(30, 1 / 30), weight * ratios / 300])
    theirs = LogisticRegression(C=1 / 1e-3, tol=1e-12, max_iter=50_000).fit(features, targets, shares)
    # Two outputs share what the one of theirs has to itself: half of it each, and half of its penalty in all.
    kernel, bias = (variable.numpy() for variable in task.head.layers[-1].weights)
    assert kernel[0, 1] - kernel[0, 0] == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
    assert bias[1] - bias[0] == pytest.approx(theirs.intercept_[0], rel=1e-3)


def objective(task, ratios: np.ndarray, weight: float) -> float:
    """L_target + weight * mean w_i loss_i + the penalty of 1e-2."""
    losses = []
    for split in (task.train, task.source):
        logits = task.head(np.asarray(split.features[:]), training=False).numpy().astype(np.float64)
        losses.append(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), split.targets])
    penalty = 1e-2 * float((task.head.layers[-1].kernel.numpy().astype(np.float64) ** 2).sum())
    return float(losses[0].mean() + weight * np.mean(ratios * losses[1])) + penalty


@pytest.mark.slow
def test_a_trained_head_minimises_the_same_sum():
    rows, reached = shifted(kind="label"), {}
    rows["evaluate"] = rows["train"]
    ratios = np.ones(0)
    for name, method, head in (
        ("solved", "instance_weighting", {"l2": 1e-2}),
        ("trained", "instance_weighting", {**TRAINED, "l2": 1e-2}),
        ("without", "joint", {"l2": 1e-2}),
    ):
        options = {"estimator": "classifier"} if method != "joint" else {}
        training = {"epochs": 300, "patience": 300, "learning_rate": 0.05, "batch_size": 30}
        task = feature_task({"method": method, "weight": 4.0, **options}, **rows, head=head, **training)
        fit(task)
        ratios = ratios if len(ratios) else instance_weighting.ratios(rows["source"][0], rows["train"][0], task.options)
        reached[name] = objective(task, ratios, 4.0)
    assert reached["solved"] <= reached["trained"] + 1e-6
    assert reached["trained"] - reached["solved"] < 0.2 * (reached["without"] - reached["solved"])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_under_covariate_shift_weights_beat_none(estimator):
    """Mean squared error on the target of a line through the source; the target's few labels count next to nothing."""
    for seed in range(3):
        rows, errors = shifted(seed), {}
        for name, method in (("joint", {}), ("instance_weighting", {"estimator": estimator})):
            method = {"method": name, "weight": 100.0, **method}
            task = feature_task(method, **rows, target={"kind": "numbers", "columns": ["y"]}, names=("y",))
            history = fit(task)
            answers = head_outputs(task.head, task.arrays(task.eval).ordered())
            errors[name] = float(np.mean((task.target.measured(answers) - np.sinc(rows["evaluate"][0])) ** 2))
        assert errors["instance_weighting"] < errors["joint"] / 3
        (found,) = history.findings
        assert found.name == "effective sample size" and 3 < found.value < 100
        assert f"By {estimator}, the 300 source examples weigh as much as {found.value:.0f} " in found.words


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["label", "labels", "numbers"])
def test_every_target_can_be_learned_so(kind):
    target = {"kind": kind} | ({"columns": ["y"]} if kind == "numbers" else {})
    names = ("y",) if kind == "numbers" else ("no", "yes")
    for head in ({}, {"hidden": [4]}):
        task = feature_task({"method": "instance_weighting"}, **shifted(0, kind), target=target, names=names, head=head)
        history = fit(task)
        assert history.findings and np.isfinite(history.best["val_loss"])


def test_weights_of_the_data_count_beside(training_input, domains):
    task = training_input.task({"method": "instance_weighting"}, features=domains)
    own = np.linspace(1, 2, len(task.source)).astype(np.float32)
    plain, _ = instance_weighting.weighed(task.source, task.train.features, task.options)
    both, _ = instance_weighting.weighed(
        dataclasses.replace(task.source, weights=own), task.train.features, task.options
    )
    np.testing.assert_allclose(both.weights, plain.weights * own, rtol=1e-6)
    assert plain.weights.dtype == np.float32


def test_little_is_told_and_next_to_nothing_refused(monkeypatch, caplog):
    rows = shifted(0)
    told = {"target": {"kind": "numbers", "columns": ["y"]}, "names": ("y",)}
    for rest, words in ((0.01, "luck decides"), (0.0, None)):
        weights = np.full(300, rest)
        weights[: 3 if rest else 1] = 100.0
        monkeypatch.setattr(instance_weighting, "ratios", lambda *_, weights=weights: weights / weights.mean())
        task = feature_task({"method": "instance_weighting"}, **rows, **told)
        if words:
            assert words in fit(task).findings[0].words and words in caplog.text
        else:
            with pytest.raises(
                GraftError, match=r"kmm gives 300 source examples the weight of 1\.0; allowed: at least"
            ):
                fit(task)


def test_too_few_examples_of_a_domain_are_refused():
    rows = shifted(0, "label")
    with pytest.raises(GraftError, match=r"'instance_weighting' learns from examples of two domains; .* none"):
        fit(feature_task({"method": "instance_weighting"}, **{**rows, "source": None}))
    few = (rows["train"][0][:4], np.array([0, 1, 0, 1]))
    with pytest.raises(GraftError, match=r"examples of the target domain .* received 4, allowed: at least 5"):
        fit(feature_task({"method": "instance_weighting"}, **{**rows, "train": few}))


@pytest.mark.slow
@pytest.mark.parametrize("head", [{"l2": 1e-3}, TRAINED], ids=["solved", "trained"])
def test_without_labels_of_the_target_the_weighed_source_is_learned_alone(head):
    """The target's labels could all be wrong: nobody looks at them."""
    rows, errors = shifted(0, "numbers"), {}
    for name, labels in (("plain", None), ("weighed", "source")):
        method = {"method": "frozen"} if labels is None else {"method": "instance_weighting", "labels": labels}
        told = {"target": {"kind": "numbers", "columns": ["y"]}, "names": ("y",)}
        training = {"epochs": 60, "patience": 60, "learning_rate": 0.05}
        task = feature_task(method, rows["source"], rows["source"], **told, head=head, **training)
        assert adapts(task.options) is (labels is not None)
        x, y = rows["train"]
        task.unlabelled = Split(x.astype(np.float32), np.full_like(y, np.nan))
        history = fit(task)
        assert len(history.findings) == (labels is not None)
        answers = task.target.measured(task.head(rows["evaluate"][0].astype(np.float32)).numpy())
        errors[name] = float(np.mean((answers - np.sinc(rows["evaluate"][0])) ** 2))
    assert errors["weighed"] < errors["plain"] / 3


def test_examples_without_labels_tell_what_occurs_in_the_target():
    rows = shifted(0, "label")
    task = feature_task({"method": "instance_weighting"}, **{**rows, "train": (rows["train"][0][:4], np.arange(4) % 2)})
    task.unlabelled = Split(rows["evaluate"][0].astype(np.float32), np.full(30, -1))
    assert fit(task).findings[0].value > 2  # four examples alone are refused


def test_a_weight_without_labels_of_the_target_is_refused():
    options = parse_options({"method": "instance_weighting", "labels": "source", "weight": 2.0})
    with pytest.raises(GraftError, match=r"transfer\.weight: received 2 beside transfer\.labels: source"):
        instance_weighting.check(options, HeadOptions(), None, None)
