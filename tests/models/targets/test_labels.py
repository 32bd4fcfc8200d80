"""Several labels of k: parsed, learned, thresholds, answered, measured, compared and gated."""

import json

import keras
import numpy as np
import pytest
import scipy.special
import sklearn.linear_model
import sklearn.metrics
import tensorflow as tf

from graft.models import gap, linear, targets
from graft.models.errors import GraftError
from graft.models.inputs.base import Refused
from graft.models.options import HeadOptions
from graft.models.targets import labels, make_target, restore
from graft.models.targets.decisions import best_threshold, example_f1
from graft.models.targets.labels import Options, Target

CLASSES = ["cat", "dog", "owl"]


def make(names: list[str] = CLASSES, thresholds: list[float] | None = None, **options) -> Target:
    return make_target(Options(**options), names, None if thresholds is None else {"thresholds": thresholds})


def sample(n: int = 200, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth float32 [n, k] and probabilities that say something of it."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, k)) < np.linspace(0.1, 0.6, k)
    logits = rng.normal(0, 1, (n, k)) + 2 * truth - 1
    return truth.astype(np.float32), scipy.special.expit(logits).astype(np.float32)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("dog|cat", ("cat", "dog")),
        (" dog | cat |dog", ("cat", "dog")),
        (b"b10|b9", ("b9", "b10")),
        ("", ()),
        ([], ()),
        (["dog", b"cat"], ("cat", "dog")),
        ((1, 0), ("cat", "dog")),
        ("2|0", ("cat", "owl")),
    ],
    ids=str,
)
def test_labels_are_names_in_natural_order_each_once(cell, value):
    assert make([]).parse({"labels": cell}, CLASSES) == value


def test_the_separator_is_a_setting():
    assert make([], separator=", ", column="tags").parse({"tags": "a|b, c"}) == ("a|b", "c")


@pytest.mark.parametrize(
    ("cell", "reason", "detail"),
    [
        (None, "unknown_label", "column 'labels' holds nothing; an empty text is no class"),
        ("cat|c\tw", "bad_label", "a control character"),
        ("cat|cow", "unknown_label", r"'cow' is not in target.class_names \(cat, dog, owl\)"),
        (["cat", None], "bad_label", "allowed: names"),
        ("cat|" * 300, "bad_label", "allowed: names, 1000 bytes in all"),
        (float("nan"), "bad_label", "holds 'nan'; allowed: names"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(cell, reason, detail):
    with pytest.raises(Refused, match=detail) as refused:
        make([], class_names=tuple(CLASSES)).parse({"labels": cell})
    assert refused.value.reason == reason
    assert reason in Target.REASONS


def test_a_class_counts_in_each_example_that_has_it():
    target = make()
    assert list(target.strata(("cat", "owl"))) == ["cat", "owl"]
    every = {"cat": 1, "dog": 2}
    found = target.check_counts({"train": {**every, "owl": 1}, "eval": every, "test": every}, "texts")
    assert found.problem is None and "no text of 'owl' in eval and test" in found.warning


def test_they_are_rows_of_zeros_and_ones_and_a_stranger_is_named():
    encoded = make().encode([("cat", "owl"), ()])
    assert encoded.dtype == np.float32 and encoded.tolist() == [[1, 0, 1], [0, 0, 0]]
    with pytest.raises(GraftError, match="test split: label 'cow' is not one of the classes cat, dog, owl"):
        make().encode([("cow",)], "test split: ")
    make().check(encoded, "split 'train'")
    for wrong, message in (
        (encoded[:, :2], r"rows of 3 zeros and ones; received float32 \[2, 2\]"),
        (encoded / 2, "too"),
    ):
        with pytest.raises(GraftError, match=message):
            make().check(wrong, "split 'train'")


def test_the_loss_is_that_of_keras_and_of_each_class_by_itself():
    truth, given = sample(20)
    outputs = scipy.special.logit(given)
    losses = np.asarray(make().losses(truth, outputs, True))
    by_hand = -(truth * np.log(given) + (1 - truth) * np.log1p(-given)).mean(axis=1)
    np.testing.assert_allclose(losses, by_hand, rtol=1e-4)
    assert losses.mean() == pytest.approx(
        float(keras.losses.BinaryCrossentropy(from_logits=True)(truth, outputs)), 1e-5
    )
    figure = np.asarray(make().progress(truth, outputs)["example_f1"])
    np.testing.assert_allclose(figure, example_f1(truth > 0, given >= 0.5), rtol=1e-6)


def test_thresholds_are_learned_of_answers_and_come_back():
    truth, given = sample()
    tuned = make().tuned(truth, given)
    assert make().thresholds.tolist() == [0.5] * 3
    columns = [best_threshold(truth[:, i] > 0, given[:, i]) for i in range(3)]
    np.testing.assert_allclose(tuned.thresholds, columns, rtol=1e-6)
    back = restore(json.loads(json.dumps(tuned.description())))
    assert back.thresholds.tolist() == tuned.thresholds.tolist()


@pytest.mark.parametrize("n", [40, 300])
def test_a_solved_head_is_a_logistic_regression_for_each_class(n):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n, 60)).astype(np.float32)
    truth = (features @ rng.normal(size=(60, 3)) * 0.3 + rng.logistic(size=(n, 3)) > 0.5).astype(np.float32)
    steps = []
    path = make().solve(
        linear.Examples(features, truth),
        linear.Examples(features, truth),
        HeadOptions(l2=0.01),
        lambda done, step: steps.append(step),
    )
    assert path.steps == steps and steps[0].converged
    outputs = features @ path.model.kernel + path.model.bias
    assert steps[0].figures["loss"] == pytest.approx(np.asarray(make().losses(truth, outputs, False)).mean(), rel=1e-4)
    assert steps[0].figures["example_f1"] == pytest.approx(
        float(np.mean(make().progress(truth, outputs)["example_f1"]))
    )
    for i in range(3):
        model = sklearn.linear_model.LogisticRegression(C=1 / (2 * 0.01 * n * 3), tol=1e-8, max_iter=10_000)
        model.fit(features, truth[:, i])
        np.testing.assert_allclose(outputs[:, i], model.decision_function(features), atol=2e-2)


@pytest.mark.parametrize("n", [0, 2])
def test_its_answers(n):
    outputs = tf.constant([[0.0, 3.0, -1.0], [1.0, -2.0, 0.0]])[:n]
    answer = make(["café", "<b>", "x"], [0.6, 0.5, 0.2]).answer(outputs)
    assert answer["classes"].shape == (n, 3)
    np.testing.assert_allclose(answer["probabilities"], scipy.special.expit(outputs), rtol=1e-6)
    assert answer["predicted"].numpy().tolist() == [[False, True, True], [True, False, True]][:n]
    assert answer["predicted"].dtype == tf.bool


def test_figures_are_those_of_scikit_learn():
    truth, given = sample()
    target = make(thresholds=[0.3, 0.5, 0.6])
    found, decided = target.figures(truth, given), given >= np.float32([0.3, 0.5, 0.6])
    expected = {
        "mean_average_precision": sklearn.metrics.average_precision_score(truth, given, average="macro"),
        "micro_f1": sklearn.metrics.f1_score(truth, decided, average="micro"),
        "macro_f1": sklearn.metrics.f1_score(truth, decided, average="macro"),
        "micro_precision": sklearn.metrics.precision_score(truth, decided, average="micro"),
        "micro_recall": sklearn.metrics.recall_score(truth, decided, average="micro"),
        "example_f1": sklearn.metrics.f1_score(truth, decided, average="samples", zero_division=1),
        "all_right": sklearn.metrics.accuracy_score(truth, decided),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(truth, decided)
    for i, name in enumerate(CLASSES):
        row = found["per_class"][name]
        assert row == pytest.approx(
            {
                "average_precision": sklearn.metrics.average_precision_score(truth[:, i], given[:, i]),
                "precision": precision[i],
                "recall": recall[i],
                "f1": f1[i],
                "support": support[i],
                "threshold": [0.3, 0.5, 0.6][i],
            }
        )
    assert found["examples"] == 200 and found["invalid"] == 0
    json.dumps(found)


def test_a_class_without_examples_is_in_no_mean_and_named():
    truth, given = np.float32([[1, 0], [0, 0]]), np.float32([[0.9, 0.1], [0.2, 0.3]])
    found = make(CLASSES[:2]).figures(truth, given)
    assert found["unmeasured"] == ["dog"] and found["per_class"]["dog"]["average_precision"] is None
    assert found["mean_average_precision"] == found["macro_f1"] == 1


def test_answers_that_are_no_numbers_are_wrong_on_every_class():
    truth, given = np.float32([[1, 0], [1, 0]]), np.float32([[0.9, 0.1], [np.nan, 0.1]])
    found = make(CLASSES[:2]).figures(truth, given)
    assert found["invalid"] == 1 and found["all_right"] == 0.5
    assert found["per_class"]["cat"]["recall"] == 0.5 and found["per_class"]["dog"]["precision"] == 0
    assert make(CLASSES[:2]).scores(truth, given).tolist() == [1, 0]


def test_shuffled_answers_have_no_precision_beyond_chance():
    truth, given = sample(2000)
    shuffled = np.random.default_rng(0).permutation(given)
    chance = truth.mean(axis=0).mean()
    assert make().figures(truth, shuffled)["mean_average_precision"] == pytest.approx(chance, abs=0.05)
    assert make().figures(truth, given)["mean_average_precision"] > chance + 0.2


def test_calibration_counts_every_decision():
    """Three classes always at 0.9, of which two of three are there: |2/3 - 0.9|."""
    found = make().figures(np.float32([[1, 1, 0]] * 5), np.full((5, 3), 0.9, np.float32))
    assert found["calibration_error"] == pytest.approx(0.9 - 2 / 3, abs=1e-6)
    assert found["reliability"][0]["count"] == 15


def test_a_rival_is_asked_about_shared_classes_at_its_own_thresholds():
    truth = np.float32([[1, 0, 1], [0, 1, 0]])
    ours, theirs = make(thresholds=[0.5] * 3), make(["dog", "cat", "emu"], [0.1, 0.9, 0.5])
    given = np.float32([[0.6, 0.4, 0.9], [0.4, 0.6, 0.1]])
    rival = np.float32([[0.2, 0.8, 0.9], [0.2, 0.2, 0.9]])  # dog above 0.1 in both, cat above 0.9 in none
    found = ours.compare(truth, given, theirs, rival)
    assert (found["added"], found["removed"], found["shared"], found["examples"]) == (["owl"], ["emu"], 2, 2)
    assert found["candidate"] == 1 and found["rival"] == 0.5 and found["gap"] == -0.5
    assert found["statement"] == (
        "has a mean F1 of 0.5000 an example on 2 test examples and the 2 classes both know, this model 1.0000; "
        f"the fall is {gap.told(found)}"
    )
    nothing = ours.compare(truth, given, make(["emu", "cow"]), rival[:, :2])
    assert nothing["examples"] == 0 and nothing["beyond_luck"] is None and nothing["shared"] == 0


def test_a_clear_fall_is_beyond_luck():
    truth, given = sample(400)
    found = make().compare(truth, np.random.default_rng(0).permutation(given), make(), given)
    assert found["beyond_luck"] == found["gap"] > 0.1


def judge(found: dict, served: dict | None = None, **limits) -> dict:
    gates = labels.Gates(**({"classes": "any"} | limits)).model_dump(mode="json")
    return {gate.name: gate for gate in make().rules(found, gates, served)}


@pytest.mark.parametrize(
    "limit", ["mean_average_precision", "micro_f1", "macro_f1", "precision", "recall", "calibration_error"]
)
def test_every_limit_closes_and_opens(limit):
    truth, given = sample()
    found = make().figures(truth, given)
    if limit == "calibration_error":
        beyond = found["calibration_error"] - found["calibration_bias"]
        opened, closed, name = beyond + 0.001, beyond - 0.001, limit
    elif limit in ("precision", "recall"):
        value = found["per_class"]["dog"][limit]
        opened, closed, name = {"dog": value - 0.001}, {"dog": value + 0.001}, f"{limit}[dog]"
    else:
        opened, closed, name = found[limit] - 0.001, found[limit] + 0.001, limit
    assert judge(found, **{limit: opened})[name].passed
    assert not judge(found, **{limit: closed})[name].passed


def test_invalid_answers_and_other_classes_close():
    truth, given = sample(10)
    given[3, 1] = np.inf
    assert not judge(make().figures(truth, given))["invalid_answers"].passed
    served = {"version": 1, "added": ["owl"], "removed": []}
    found = make().figures(*sample(10))
    assert not judge(found, served, classes="same")["classes"].passed
    assert judge(found, served, classes="grow")["classes"].passed


ROUNDS = 500
# Three standard errors of a share of 5 % over the rounds.
NOISE = 3 * (0.05 * 0.95 / ROUNDS) ** 0.5


@pytest.mark.parametrize("n", [65, 400])
def test_two_equal_models_close_the_baseline_gate_at_most_as_often_as_is_stated(n):
    closed = 0
    for seed in range(ROUNDS):
        rng = np.random.default_rng(seed)
        truth = (rng.random((n, 4)) < 0.3).astype(np.float32)
        shared = rng.normal(0, 1, (n, 4)) + 2 * truth - 1
        answers = (scipy.special.expit(shared + rng.normal(0, 0.7, (n, 4))) for _ in range(2))
        scores = (make(list("abcd")).scores(truth, given) for given in answers)
        closed += gap.compared(*scores, Target.score_range)["beyond_luck"] > 0
    assert closed / ROUNDS <= gap.FALSE_ALARMS + NOISE


def test_an_answer_is_shown_by_the_classes_that_are_chosen():
    outputs = {"probabilities": {"a": 0.9, "b": 0.2, "c": 0.7}, "predicted": {"a": True, "b": False, "c": True}}
    assert targets.shown(outputs) == {"labels": "a 0.9000, c 0.7000"}
