"""TrAdaBoost: against a reference of its own, what it turns away from, and that its vote is what is served."""

import json

import keras
import numpy as np
import pytest
from feature_tasks import feature_task
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from test_loop import fit
from test_trainer import probabilities, run_process
from two_domains import write_domains

from graft.models import trainer
from graft.models.errors import GraftError
from graft.models.options import HeadOptions
from graft.models.targets import parse_options as parse_target
from graft.models.transfer import parse_options, tradaboost

TEN = tuple("0123456789")


def digits(seed: int, corrupted: float = 0.5):
    """700 digits as the source, a share of their labels drawn anew; 50 and 100 as train and eval, the rest as test."""
    whole = load_digits()
    pixels, labels = (whole.data / 16).astype(np.float32), whole.target
    rng = np.random.default_rng(seed)
    source, train, evaluate, test = np.split(rng.permutation(len(labels)), [700, 750, 850])
    told = labels[source].copy()
    drawn = rng.random(700) < corrupted
    told[drawn] = rng.integers(0, 10, drawn.sum())
    rows = {name: (pixels[at], labels[at]) for name, at in (("train", train), ("evaluate", evaluate))}
    rows["source"] = (pixels[source], told)
    return rows, (pixels[test], labels[test]), told != labels[source]


def accuracy(task, test) -> float:
    return float(np.mean(task.head(test[0]).numpy().argmax(axis=1) == test[1]))


def two_classes(seed: int = 0):
    """Two Gaussians; in the source 3 of 10 labels are the other one."""
    rng = np.random.default_rng(seed)

    def rows(count: int, wrong: float):
        labels = rng.integers(0, 2, count)
        features = rng.normal(size=(count, 2)) + 1.5 * labels[:, None]
        return features.astype(np.float32), np.where(rng.random(count) < wrong, 1 - labels, labels)

    return {"source": rows(120, 0.3), "train": rows(20, 0.1), "evaluate": rows(40, 0.0)}


def reference(rows, learners: int, l2: float):
    """The paper's algorithm for two classes, with scikit-learn's logistic regression as the learner.

    Returns:
        weights of source and target at the end, and for x [n, d] the probability of class 1 by the vote.
    """
    features, labels = (np.concatenate([rows["source"][i], rows["train"][i]]) for i in (0, 1))
    count, target = len(rows["source"][1]), len(rows["train"][1])
    weights, voters = np.ones(len(labels)), []
    beta = 1 / (1 + np.sqrt(2 * np.log(count) / learners))
    for _ in range(learners):
        shares = weights / weights.sum()
        # Two outputs with a penalty each are one output with half of it.
        model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(features, labels, shares)
        wrong = model.predict(features) != labels
        error = weights[count:][wrong[count:]].sum() / weights[count:].sum()
        error = min(max(error, 0.5 / target), 0.49)
        beta_t = error / (1 - error)
        weights[:count] *= beta ** wrong[:count]
        weights[count:] *= beta_t ** -wrong[count:].astype(float)
        voters.append((np.log(1 / beta_t), model))
    late = voters[int(np.ceil(learners / 2)) - 1 :]
    total = sum(share for share, _ in late)
    return weights, lambda x: sum(share * model.predict_proba(x)[:, 1] for share, model in late) / total


@pytest.mark.parametrize("learners", [4, 9])
def test_weights_and_vote_are_those_of_the_papers_algorithm(learners):
    rows = two_classes()
    task = feature_task({"method": "tradaboost", "learners": learners}, **rows, head={"l2": 1e-2})
    boosting = tradaboost.Boosting(task, learners)
    for _ in range(learners):
        boosting.step()
    weights, vote = reference(rows, learners, 1e-2)
    np.testing.assert_allclose(boosting.weights / boosting.weights.sum(), weights / weights.sum(), rtol=1e-6)
    history = fit(task)
    logits = task.head(rows["evaluate"][0]).numpy().astype(np.float64)
    ours = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    np.testing.assert_allclose(ours, vote(rows["evaluate"][0]), atol=2e-3)
    assert len(history.epochs) == history.best_epoch == learners
    right = (ours > 0.5) == rows["evaluate"][1]
    assert history.best["val_accuracy"] == pytest.approx(right.mean())


@pytest.mark.slow
def test_corrupted_source_examples_lose_their_weight_and_the_target_gains():
    gains = {"target alone": [], "both domains": []}
    for seed in range(3):
        rows, test, corrupted = digits(seed)
        scores = {}
        for name, method in (("boosted", "tradaboost"), ("target alone", "frozen"), ("both domains", "joint")):
            task = feature_task({"method": method}, **rows, names=TEN)
            history = fit(task)
            scores[name] = accuracy(task, test)
            if name == "boosted":
                (size, strength) = history.findings
                assert 250 < size.value < 450 and strength.value > 0
                boosting = tradaboost.Boosting(task, 10)
                for _ in range(10):
                    boosting.step()
                weights = boosting.weights[:700]
                assert weights[corrupted].mean() < 0.2 * weights[~corrupted].mean()
        for name, found in gains.items():
            found.append(scores["boosted"] - scores[name])
    assert min(gains["target alone"]) > 0 and np.mean(gains["target alone"]) > 0.045
    assert min(gains["both domains"]) > 0 and np.mean(gains["both domains"]) > 0.02


def test_a_source_whose_labels_say_nothing_brings_nothing():
    """The control: every label of the source is drawn anew."""
    gains = []
    for seed in range(2):
        rows, test, _ = digits(seed, corrupted=1.0)
        tasks = [feature_task({"method": method}, **rows, names=TEN) for method in ("tradaboost", "frozen")]
        for task in tasks:
            fit(task)
        gains.append(accuracy(tasks[0], test) - accuracy(tasks[1], test))
    assert max(gains) < 0.02


def test_a_learner_that_is_always_right_or_always_wrong_has_a_bounded_say():
    rows = two_classes()
    x, y = rows["evaluate"]
    apart = np.concatenate([x, 50.0 * (2 * y[:, None] - 1)], axis=1).astype(np.float32)
    flipped = np.concatenate([rows["source"][0], -50.0 * (2 * rows["source"][1][:, None] - 1)], axis=1)
    for source in ((apart, y), (flipped.astype(np.float32), rows["source"][1])):
        task = feature_task({"method": "tradaboost"}, (apart, y), (apart, y), source, head={"l2": 1e-3})
        history = fit(task)
        assert all(np.isfinite(entry["val_loss"]) for entry in history.epochs)
        assert np.isfinite(task.head(apart).numpy()).all()


def test_weights_of_the_data_are_where_it_begins(training_input, tmp_path):
    features = write_domains(training_input, tmp_path)
    own = np.linspace(1, 2, 42).astype(np.float32)
    np.save(features / "Split-train" / "weights.npy", own)
    task = training_input.task({"method": "tradaboost"}, head={"l2": 1e-3}, features=features)
    np.testing.assert_array_equal(tradaboost.Boosting(task, 2).began, np.concatenate([own[12:], own[:12]]))


@pytest.mark.parametrize(
    ("target", "head", "message"),
    [
        ({"kind": "labels"}, {}, r"target\.kind: received 'labels'; .* allowed is label"),
        ({"kind": "label"}, {"hidden": [4]}, r"head: .* received solver auto, hidden \[4\], .* no hidden units"),
        ({"kind": "label"}, {"solver": "adam"}, r"head: .* received solver adam"),
    ],
)
def test_what_it_cannot_boost_is_refused(target, head, message):
    options = parse_options({"method": "tradaboost"})
    with pytest.raises(GraftError, match=message):
        tradaboost.check(options, HeadOptions.model_validate(head), None, parse_target(target))


def test_without_a_source_it_is_refused():
    with pytest.raises(GraftError, match=r"'tradaboost' learns from examples of two domains; .* none"):
        fit(feature_task({"method": "tradaboost"}, **{**two_classes(), "source": None}))


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["1", "2"])
def test_the_vote_is_exported(training_input, tmp_path, devices):
    """And the trainer compares the export's answers with those of the vote in memory."""
    features = write_domains(training_input, tmp_path)
    config = {"transfer": {"method": "tradaboost"}, "head": {}, "features_path": str(features)}
    args = training_input.fn_args(tmp_path, **config)
    if devices == "1":
        trainer.run_fn(args)
    else:
        done = run_process(args, options=("--devices", devices))
        assert f"trained on {devices} replicas" in done.stdout, done.stderr[-3000:]
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["method"] == "tradaboost" and len(history["findings"]) == 2
    head = keras.models.load_model(tmp_path / "run" / "head.keras")
    stored = np.load(training_input.features / "Split-test" / "features.npy")
    logits = head(stored).numpy()
    answered = probabilities(tmp_path / "model", training_input.images["test"])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answered, expected, atol=1e-4)
