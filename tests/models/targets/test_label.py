"""One label of k: parsed, learned, answered, measured, compared and gated."""

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import tensorflow as tf

from graft.models import gap, targets
from graft.models.errors import GraftError
from graft.models.inputs.base import Refused
from graft.models.targets import label, make_target, restore
from graft.models.targets.label import Options, Target

CLASSES = ["cat", "dog", "owl"]


def make(names: list[str] = CLASSES, **options) -> Target:
    return make_target(Options(**options), names)


def figures(labels: np.ndarray, probabilities: np.ndarray, names: list[str]) -> dict:
    return make(names).figures(labels, probabilities)


@pytest.mark.parametrize(
    ("cell", "names", "value"),
    [
        ("cat", None, "cat"),
        (1, CLASSES, "dog"),
        ("1", CLASSES, "dog"),
        (7, CLASSES, "7"),
        (b"chat", None, "chat"),
    ],
)
def test_a_label_is_a_name_or_indexes_the_names(cell, names, value):
    assert make([]).parse({"label": cell}, names) == (value,)


def test_its_own_names_go_before_those_of_the_source():
    assert make([], class_names=("a", "b"), column="kind").parse({"kind": 1}, ["x", "y"]) == ("b",)


@pytest.mark.parametrize(
    ("cell", "reason", "detail"),
    [
        (None, "unknown_label", "no label"),
        ("", "unknown_label", "no label"),
        (["cat"], "unknown_label", "no label"),
        (float("nan"), "unknown_label", "no label"),
        ("x" * 1001, "unknown_label", "no label"),
        ("cat\n", "bad_label", "a control character"),
        ("cow", "unknown_label", r"'cow' is not in target.class_names \(cat, dog\)"),
    ],
)
def test_what_is_no_label_is_refused(cell, reason, detail):
    with pytest.raises(Refused, match=detail) as refused:
        make([], class_names=("cat", "dog")).parse({"label": cell})
    assert refused.value.reason == reason


def test_it_is_encoded_by_place_and_a_stranger_is_named():
    target = make()
    encoded = target.encode([("owl",), ("cat",)])
    assert encoded.dtype == np.int64 and encoded.tolist() == [2, 0]
    with pytest.raises(GraftError, match="test split: label 'cow' is not one of the classes cat, dog, owl"):
        target.encode([("cow",)], "test split: ")


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (np.eye(3, dtype=np.int64)[:2], "one-hot"),
        (np.array([0.0, 1.0]), "received float64"),
        (np.array([0, 3]), "labels run from 0 to 3, but there are 3 classes"),
        (np.array([-1, 0]), "allowed: 0 to 2"),
    ],
)
def test_labels_in_another_form_are_refused(encoded, message):
    with pytest.raises(GraftError, match=message):
        make().check(encoded, "split 'train'")


def test_the_loss_is_the_cross_entropy_and_only_training_smooths_and_weighs():
    encoded, outputs = np.array([0, 0, 2]), np.array([[2.0, 0, 1], [0, 1, 0], [0, 0, 5]], np.float32)
    target = make(label_smoothing=0.3, class_weights="balanced").fitted(encoded)
    assert target.facts["class_weights"] == pytest.approx([0.5, 1.0, 1.0])
    log_p = scipy.special.log_softmax(outputs, axis=1)
    np.testing.assert_allclose(target.losses(encoded, outputs, False), -log_p[range(3), encoded], rtol=1e-5)
    smoothed = -(0.7 * log_p[range(3), encoded] + 0.1 * log_p.sum(axis=1)) * [0.5, 0.5, 1.0]
    np.testing.assert_allclose(target.losses(encoded, outputs, True), smoothed, rtol=1e-5)
    assert np.asarray(target.progress(encoded, outputs)["accuracy"]).tolist() == [1, 0, 1]


@pytest.mark.parametrize("n", [0, 2])
def test_its_answers(n):
    outputs = tf.constant([[0.0, 3.0, 0.0], [1.0, 0.0, 0.0]])[:n]
    answer = make(["café", "<b>", "x"]).answer(outputs)
    assert answer["classes"].shape == answer["probabilities"].shape == answer["scores"].shape == (n, 3)
    assert answer["label"].numpy().tolist() == [b"<b>", "café".encode()][:n]
    np.testing.assert_allclose(answer["probabilities"], scipy.special.softmax(outputs, axis=1), rtol=1e-6)


def test_it_comes_back_from_its_description():
    target = make(class_weights={"cat": 2.0}, class_names=("cat", "dog", "owl")).fitted(np.array([0, 1, 2]))
    back = restore(target.description())
    assert back.description() == target.description()
    assert back.class_weights.tolist() == [2, 1, 1]


def test_classification_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 1, 1, 0])
    found = figures(labels, np.eye(3)[predicted], CLASSES)
    assert found["examples"] == 6
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["confusion"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found["per_class"]["cat"] == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3})
    assert found["per_class"]["dog"] == pytest.approx({"precision": 2 / 3, "recall": 1, "f1": 0.8, "support": 2})
    assert found["per_class"]["owl"] == pytest.approx({"precision": 0, "recall": 0, "f1": 0, "support": 1})
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)


def test_a_class_without_examples_is_not_in_the_macro_mean():
    found = figures(np.array([0, 1]), np.eye(3)[[0, 1]], CLASSES)
    assert found["macro_f1"] == 1
    assert found["per_class"]["owl"]["support"] == 0
    assert found["unmeasured"] == ["owl"]


def test_macro_f1_is_that_of_scikit_learn_where_a_class_is_only_predicted():
    """Eight of nine cats found, the ninth taken for a dog: dogs have an F1 of 0, and count."""
    labels, predicted = np.zeros(9, int), np.array([0] * 8 + [1])
    found = figures(labels, np.eye(3)[predicted], CLASSES)
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(labels, predicted, average="macro"))
    assert found["macro_f1"] == pytest.approx(8 / 17)


def test_answers_that_are_no_numbers_are_wrong_and_counted():
    probabilities = np.array([[np.nan, 0.1], [0.9, 0.1], [np.inf, 0.0]])
    found = figures(np.array([0, 0, 0]), probabilities, CLASSES[:2])
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["invalid"] == 2
    assert found["confusion"] == [[1, 0], [0, 0]]


def test_scores_are_right_or_wrong():
    answers = np.array([[0.9, 0.1], [0.9, 0.1], [np.nan, 0.1]])
    assert make(["a", "b"]).scores(np.array([0, 1, 0]), answers).tolist() == [1, 0, 0]


def sure(names: list[str], predicted: list[str], second: str | None = None) -> np.ndarray:
    """Answers of a model that is sure of `predicted`; `second` is what it finds next probable."""
    rows = np.full((len(predicted), len(names)), 0.01, np.float32)
    for row, name in enumerate(predicted):
        if second is not None:
            rows[row, names.index(second)] = 0.3
        rows[row, names.index(name)] = 0.6
    return rows


def compare(names: list[str], labels: list[str], answers: np.ndarray, rivals: list[str], theirs: np.ndarray) -> dict:
    target = make(names)
    return target.compare(target.encode([(name,) for name in labels]), answers, make(rivals), theirs)


def test_with_one_list_of_classes_all_examples_count():
    labels, names = ["a", "a", "b", "b"], ["a", "b"]
    found = compare(names, labels, sure(names, ["a", "b", "b", "b"]), ["b", "a"], sure(["b", "a"], list("aabb")))
    assert found["accuracy"] == 1 and found["added"] == found["removed"] == []
    assert found["shared"] == 2 and found["examples"] == 4
    assert (found["candidate"], found["rival"]) == (0.75, 1.0)
    assert found["gap"] == 0.25
    assert found["beyond_luck"] == 0, "one example of four is luck"
    assert found["statement"] == (
        "is right on 1.0000 of 4 test examples of the 2 classes both know, this model on 0.7500; "
        f"the fall is {gap.told(found)}"
    )
    assert found["statement"].endswith(": not distinguishable")


def test_a_name_that_the_rival_never_knew_is_not_its_error():
    labels, names = ["a", "b", "new", "new"], ["a", "b", "new"]
    found = compare(names, labels, sure(names, labels), ["a", "b"], sure(["a", "b"], ["a", "b", "a", "a"]))
    assert found["accuracy"] == 0.5, "over all examples they are"
    assert found["added"] == ["new"]
    assert found["examples"] == 2
    assert found["rival"] == found["candidate"] == 1


def test_the_candidate_is_not_blamed_for_a_class_that_only_it_knows():
    """Asked which of a and b it is, it says a; that it finds a third one likelier still says nothing against it."""
    names = ["a", "b", "new"]
    found = compare(names, ["a", "a"], sure(names, ["new", "new"], "a"), ["a", "b"], sure(["a", "b"], ["a", "b"]))
    assert found["candidate"] == 1 and found["rival"] == 0.5


def test_without_a_shared_class_nothing_is_compared():
    found = compare(["a", "b"], ["a", "b"], sure(["a", "b"], ["a", "b"]), ["c", "d"], sure(["c", "d"], ["c", "d"]))
    assert found == {
        "accuracy": 0,
        "classes": ["c", "d"],
        "added": ["a", "b"],
        "removed": ["c", "d"],
        "shared": 0,
        "examples": 0,
        "candidate": None,
        "rival": None,
        "gap": None,
        "interval": None,
        "beyond_luck": None,
        "statement": "knows no class of the test split",
    }


def test_a_rival_without_numbers_is_wrong():
    labels, names = ["a"] * 30, ["a", "b"]
    found = compare(names, labels, sure(names, labels), names, np.full((30, 2), np.nan))
    assert found["rival"] == 0 and found["gap"] == -1
    assert found["beyond_luck"] == pytest.approx(-1)


@pytest.fixture
def measured() -> dict:
    """Of a model with accuracy 0.8: cats 4 of 5 right, dogs 4 of 5, no owl in the test split."""
    predicted = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    return figures(np.array([0] * 5 + [1] * 5), np.eye(3)[predicted], CLASSES)


def judge(found: dict, served: dict | None = None, **limits) -> dict:
    """name -> gate, for limits as the configuration gives them; only those that are asked for."""
    options = label.Gates(**({"classes": "any"} | limits))
    gates = {gate.name: gate for gate in make().rules(found, options.model_dump(mode="json"), served)}
    assert gates.pop("invalid_answers").passed
    return gates


@pytest.mark.parametrize(
    ("limits", "name", "passed"),
    [
        ({"accuracy": 0.8}, "accuracy", True),
        ({"accuracy": 0.81}, "accuracy", False),
        ({"macro_f1": 0.8}, "macro_f1", True),
        ({"macro_f1": 0.81}, "macro_f1", False),
        ({"precision": 0.8}, "precision[cat]", True),
        ({"precision": 0.9}, "precision[cat]", False),
        ({"precision": {"dog": 0.8}}, "precision[dog]", True),
        ({"precision": {"dog": 0.9}}, "precision[dog]", False),
        ({"recall": 0.8}, "recall[dog]", True),
        ({"recall": 0.9}, "recall[dog]", False),
        ({"recall": {"cat": 0.8}}, "recall[cat]", True),
        ({"recall": {"cat": 0.9}}, "recall[cat]", False),
        ({"calibration_error": 0.2}, "calibration_error", True),
        ({"calibration_error": 0.19}, "calibration_error", False),
    ],
)
def test_open_and_closed(measured, limits, name, passed):
    assert judge(measured, **limits)[name].passed is passed


def test_without_limits_there_are_no_gates(measured):
    assert judge(measured) == {}


def test_a_floor_for_all_classes_passes_over_those_without_examples(measured):
    assert set(judge(measured, recall=0.1)) == {"recall[cat]", "recall[dog]"}


def test_a_floor_for_one_class_counts_without_examples(measured):
    assert not judge(measured, recall={"owl": 0.1})["recall[owl]"].passed


def test_a_floor_for_an_unknown_class_closes(measured):
    gate = judge(measured, precision={"cow": 0.1})["precision[cow]"]
    assert not gate.passed and gate.value is None
    assert gate.detail == "no such class; classes: cat, dog, owl"


@pytest.mark.parametrize(
    ("added", "removed", "open_for"),
    [([], [], ("same", "grow", "any")), (["emu"], [], ("grow", "any")), (["emu"], ["owl"], ("any",))],
    ids=["the same", "one more", "one gone"],
)
def test_a_changed_list_of_classes_is_gated_by_name(measured, added, removed, open_for):
    served = {"version": 3, "added": added, "removed": removed}
    for allowed in ("same", "grow"):
        gate = judge(measured, served, classes=allowed)["classes"]
        assert gate.passed is (allowed in open_for)
        assert all(name in gate.detail for name in added + removed)
    assert judge(measured, served, classes="any") == judge(measured, None, classes="same") == {}


def test_answers_that_are_no_numbers_close_whatever_the_limits():
    found = figures(np.array([0, 0, 1]), np.full((3, 3), np.nan), CLASSES)
    gates = {gate.name: gate for gate in make().rules(found, {"accuracy": 0.1})}
    assert not gates["invalid_answers"].passed and gates["invalid_answers"].value == 3
    assert not gates["accuracy"].passed and gates["accuracy"].value == 0


def test_the_calibration_gate_leaves_chance_out(measured):
    measured |= {"calibration_error": 0.12, "calibration_bias": 0.1, "calibration_interval": [0.0, 0.15]}
    gate = judge(measured, calibration_error=0.02)["calibration_error"]
    assert gate.passed and gate.value == pytest.approx(0.02)
    assert "0.1000, what a perfectly calibrated model scores with 10 examples" in gate.detail
    assert not judge(measured, calibration_error=0.01)["calibration_error"].passed


def test_tfma_gets_names():
    rows = make().evaluated(np.array([0, 2]), np.array([[0.1, 0.8, 0.1], [np.nan, 0, 0]]))
    assert rows["label"] == [["cat"], ["owl"]] and rows["prediction"] == [["dog"], [""]]


def test_an_answer_is_shown_by_its_class():
    outputs = {"label": "cat", "probabilities": {"cat": 0.75, "dog": 0.25}, "scores": {"cat": 1.0, "dog": -0.1}}
    assert targets.shown(outputs) == {"label": "cat", "probability": "0.7500"}
    assert targets.shown({"y": [1.0]}) == {"y": "[1.0]"}, "a model that Graft did not make"
