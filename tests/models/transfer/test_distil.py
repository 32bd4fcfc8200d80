"""Distillation: the soft loss against references, its limits, streams without labels, and what is refused."""

import dataclasses
import re
import types

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from small_inputs import pictures
from test_loop import assert_equal_weights, fit, fit_and_leave, without_seconds

from graft.models import relations, teacher
from graft.models.checkpoint import Checkpoint
from graft.models.errors import GraftError
from graft.models.objectives import Seen
from graft.models.options import HeadOptions
from graft.models.targets import make_target, parse_options
from graft.models.transfer import check_options, distil
from graft.models.transfer import parse_options as parse_transfer

RNG = np.random.default_rng(0)
NAMES = ("a", "b", "c", "d")
STUDENT, TEACHER = (RNG.normal(size=(7, 4)).astype(np.float32) for _ in range(2))
LABEL, LABELS = (make_target(parse_options({"kind": kind}), NAMES) for kind in ("label", "labels"))


def moving(taught, **more) -> dict:
    return {"method": "distil", "teacher": str(taught), "epochs": 2, "head_epochs": 2, "learning_rate": 1e-2, **more}


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_softened_probabilities_diverge_as_numpy_and_keras_say(temperature):
    found = LABEL.divergence(STUDENT, LABEL, TEACHER, temperature).numpy()
    ours, theirs = (scipy.special.softmax(x.astype(np.float64) / temperature, axis=1) for x in (STUDENT, TEACHER))
    np.testing.assert_allclose(found, (theirs * np.log(theirs / ours)).sum(axis=1), atol=1e-6)
    # The instance, for the default name of that loss takes logits for probabilities.
    loss = keras.distillation.LogitsDistillation(temperature=temperature, loss=keras.losses.KLDivergence())
    theirs_too = loss.compute_loss(tf.constant(TEACHER), tf.constant(STUDENT))
    assert float(theirs_too) == pytest.approx(found.mean() * temperature**2, rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_several_labels_are_softened_each_by_itself(temperature):
    found = LABELS.divergence(STUDENT, LABELS, TEACHER, temperature)
    q, p = (scipy.special.expit(x.astype(np.float64) / temperature) for x in (STUDENT, TEACHER))
    expected = (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    huge = LABELS.divergence(tf.constant([[300.0] * 4]), LABELS, tf.constant([[-300.0] * 4]), 1.0)
    assert float(huge[0]) == pytest.approx(300.0, rel=1e-3)


def test_a_student_that_is_the_teacher_but_for_a_constant_has_nothing_to_learn():
    np.testing.assert_allclose(LABEL.divergence(TEACHER + 5.0, LABEL, TEACHER, 3.0), 0.0, atol=1e-6)
    np.testing.assert_allclose(LABELS.divergence(TEACHER, LABELS, TEACHER, 3.0), 0.0, atol=1e-6)


@pytest.mark.parametrize("target", [LABEL, LABELS], ids=["label", "labels"])
def test_the_gradient_reaches_the_student_and_keeps_its_size_over_temperatures(target):
    sizes, without_factor = [], []
    for temperature in (1.0, 2.0, 5.0, 20.0):
        watched = tf.constant(STUDENT)
        with tf.GradientTape() as tape:
            tape.watch(watched)
            loss = tf.reduce_mean(target.divergence(watched, target, TEACHER, temperature))
        size = float(tf.norm(tape.gradient(loss, watched)))
        without_factor.append(size)
        sizes.append(size * temperature**2)
    assert min(sizes) > 0.02
    assert max(sizes) < 2 * min(sizes)
    assert max(without_factor) > 50 * min(without_factor)


# The term, beside a teacher that says what it is told.


def lesson(training_input, seen_by_stream, width=5, **options):
    """A `Lesson` of a fake teacher, and what it says of these (inputs, features, outputs) by stream."""
    task = training_input.task({"method": "distil", "teacher": "anywhere", **options})
    known = {}
    batches = {}
    for number, (name, (features, outputs)) in enumerate(seen_by_stream.items()):
        mark = tf.constant(float(number))
        rng = np.random.default_rng(number)
        known[number] = (
            rng.normal(size=(len(outputs), width)).astype(np.float32),
            rng.normal(size=(len(outputs), 3)).astype(np.float32),
        )
        batches[name] = Seen({"inputs": mark}, tf.constant(features), tf.constant(outputs))

    class Fake(types.SimpleNamespace):
        def __call__(self, inputs):
            return tuple(map(tf.constant, known[int(inputs)]))

    fake = Fake(width=width, target=task.target)
    return distil.Lesson(task, fake), batches, known, task


def draws(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([5, seed])
    return rng.normal(size=(rows, 16)).astype(np.float32), rng.normal(size=(rows, 3)).astype(np.float32)


@pytest.mark.slow
def test_each_part_has_its_weight(training_input):
    options = {"weight": 0.3, "temperature": 2.0, "features": 0.1, "distances": 25.0, "angles": 50.0}
    term, batches, known, task = lesson(training_input, {"target": draws(6, 0)}, **options)
    outcome = term(batches)
    assert outcome.weights == {
        "soft_loss": pytest.approx(0.3 * 4),
        "loss": pytest.approx(0.7),
        "feature_distance": 0.1,
        "relation_distances": 25.0,
        "relation_angles": 50.0,
    }
    features, outputs = draws(6, 0)
    np.testing.assert_allclose(
        outcome.losses["soft_loss"], task.target.divergence(outputs, task.target, known[0][1], 2.0), rtol=1e-5
    )
    assert float(outcome.losses["relation_angles"]) == pytest.approx(float(relations.angles(features, known[0][0])))
    # Widths differ, so that a projection stands between them, and moves.
    kernel, bias = (variable.numpy() for variable in term.state)
    expected = ((features @ kernel + bias - known[0][0]) ** 2).mean(axis=1)
    np.testing.assert_allclose(outcome.losses["feature_distance"], expected, rtol=1e-4)
    assert [group.variables for group in term.groups] == [term.state]


@pytest.mark.slow
def test_equal_widths_need_no_projection(training_input):
    term, batches, known, _ = lesson(training_input, {"target": draws(6, 0)}, width=16, features=1.0)
    expected = ((draws(6, 0)[0] - known[0][0]) ** 2).mean(axis=1)
    np.testing.assert_allclose(term(batches).losses["feature_distance"], expected, rtol=1e-4)
    assert not term.state and not term.groups


@pytest.mark.slow
def test_examples_without_labels_count_as_much_as_those_with(training_input):
    streams = {"target": draws(6, 0), "unlabelled": draws(6, 1)}
    both, batches, _, _ = lesson(training_input, streams, features=1.0, distances=1.0, width=16)
    parts = [both({name: seen}) for name, seen in batches.items()]
    for name, found in both(batches).losses.items():
        expected = np.mean([part.losses[name] for part in parts], axis=0)
        np.testing.assert_allclose(found, expected, rtol=1e-4, err_msg=name)


# Trainings.


@pytest.mark.slow
def test_without_weight_it_is_fine_tuning_bit_for_bit(is_fine_tuning, taught):
    is_fine_tuning({"method": "distil", "teacher": str(taught), "weight": 0.0}, {"soft_loss"})


@pytest.mark.slow
def test_a_teacher_draws_the_student_to_its_answers_and_does_not_move(training_input, taught, monkeypatch):
    teachers = []

    class Kept(teacher.Teacher):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.before = [variable.numpy() for variable in self._model.backbone_variables]
            teachers.append(self)

    monkeypatch.setattr(teacher, "Teacher", Kept)
    ended = []
    for weight in (0.0, 1.0):
        task = training_input.task(moving(taught, weight=weight, head_epochs=1), augment={"flip": True})
        # Labels that contradict the teacher, which learned the true ones.
        task.train = dataclasses.replace(task.train, targets=(task.train.targets + 1) % 3)
        history = fit(task)
        ended.append(history.epochs[-1]["soft_loss"])
        for now, before in zip(teachers[-1]._model.backbone_variables, teachers[-1].before, strict=True):
            np.testing.assert_array_equal(now.numpy(), before)
    assert ended[1] < 0.5 * ended[0]
    [finding] = history.findings
    assert finding.name == "teacher" and finding.value == teachers[-1].identity[:12]


@pytest.mark.slow
def test_asked_beforehand_or_in_the_step_it_says_the_same(training_input, taught, monkeypatch):
    rows = []
    for held in (distil.HELD_BYTES, -1):
        monkeypatch.setattr(distil, "HELD_BYTES", held)
        method = moving(taught, features=0.1, distances=1.0, angles=1.0, learning_rate=1e-4)
        rows.append(fit(training_input.task(method)).epochs[-1])
    assert {"soft_loss", "feature_distance", "relation_distances", "relation_angles"} <= rows[0].keys()
    for name in rows[0].keys() - {"seconds", "phase"}:
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-2, abs=1e-6), name


@pytest.mark.slow
def test_the_head_of_a_frozen_student_learns_from_cached_features(training_input, taught):
    frozen = {"method": "distil", "teacher": str(taught), "frozen": True}
    head = {"solver": "adam", "dropout": 0.0, "l2": 0.0}
    train = {"epochs": 60, "patience": 60, "learning_rate": 0.05}
    task = training_input.task({**frozen, "weight": 1.0}, head=head, **train)
    start = [variable.numpy() for variable in task.backbone.variables]
    history = fit(task)
    assert {entry["phase"] for entry in history.epochs} == {"head"}
    # The same backbone under both: what a linear head says can be said by another.
    assert history.epochs[-1]["soft_loss"] < 0.1 * history.epochs[0]["soft_loss"]
    for variable, before in zip(task.backbone.variables, start, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before)
    tasks = [training_input.task(method, head=head) for method in ({**frozen, "weight": 0.0}, {"method": "frozen"})]
    for one in tasks:
        fit(one)
    assert_equal_weights(*tasks)


def with_unlabelled(task, labels=None):
    """The last 30 training examples without labels, the first 12 with."""
    train = task.train
    domains = np.array([b"target"] * 12 + [b"source"] * 30, "S6")
    both = dataclasses.replace(train, domains=domains)
    task.train, task.unlabelled = both.of("target"), both.of("source")
    if labels is not None:
        task.unlabelled = dataclasses.replace(task.unlabelled, targets=np.full(30, labels))
    return task


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
def test_examples_without_labels_teach_and_their_labels_are_not_looked_at(training_input, taught, frozen):
    method = {"method": "distil", "teacher": str(taught), "frozen": True} if frozen else moving(taught)
    rows = []
    for labels in (0, 2):
        rows.append(without_seconds(fit(with_unlabelled(training_input.task(method), labels))))
    assert rows[0] == rows[1]
    alone = with_unlabelled(training_input.task(method))
    alone.unlabelled = None
    assert without_seconds(fit(alone)) != rows[0]


@pytest.mark.slow
def test_killed_and_continued_over_two_streams_and_a_projection(training_input, taught, tmp_path, monkeypatch):
    """Of a teacher whose features are wider than the student's."""

    class Wide(teacher.Teacher):
        width = 32

        def __call__(self, prepared):
            features, outputs = super().__call__(prepared)
            return tf.concat([features, -features], 1), outputs

        def __setattr__(self, name, value):
            super().__setattr__(name, 32 if name == "width" else value)

    monkeypatch.setattr(teacher, "Teacher", Wide)
    method = moving(taught, epochs=3, features=1.0)

    def make():
        return with_unlabelled(training_input.task(method, augment={"flip": True}))

    whole, continued = make(), make()
    history = fit_and_leave(whole, tmp_path, [4])
    resumed = fit(continued, Checkpoint(tmp_path / "4", "t"))
    assert resumed.resumed_at == 3, "while the backbone moves"
    assert_equal_weights(whole, continued)
    assert without_seconds(resumed) == without_seconds(history)


# What is refused before a run.


@pytest.mark.parametrize(
    ("options", "head", "target", "said"),
    [
        ({"teacher": None}, {}, {}, "transfer.teacher: method 'distil' needs one"),
        ({"temperature": 2.0}, {}, {"kind": "numbers", "columns": ["a"]}, "transfer.temperature: received 2; target"),
        ({"frozen": True, "features": 1.0}, {}, {}, "transfer.features: received 1.0; with transfer.frozen"),
        ({"frozen": True, "angles": 1.0}, {}, {}, "transfer.angles: received 1.0; with transfer.frozen"),
        ({"frozen": True, "epochs": 9}, {}, {}, "transfer.epochs: received 9; with transfer.frozen"),
        ({"frozen": True}, {"solver": "lbfgs"}, {}, "head.solver: received lbfgs; with transfer.frozen"),
    ],
)
def test_settings_without_a_meaning_are_refused(options, head, target, said):
    chosen = parse_transfer({"method": "distil", "teacher": "somewhere", **options})
    with pytest.raises(GraftError, match=re.escape(said)):
        check_options(chosen, HeadOptions(**head), pictures((16, 16)), parse_options(target))


def test_settings_with_a_meaning_are_taken():
    for options, target in (
        ({"temperature": 2.0, "angles": 50.0}, {}),
        ({"frozen": True, "temperature": 3.0}, {"kind": "labels"}),
        ({}, {"kind": "numbers", "columns": ["a"]}),
    ):
        chosen = parse_transfer({"method": "distil", "teacher": "somewhere", **options})
        check_options(chosen, HeadOptions(), pictures((16, 16)), parse_options(target))
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        parse_transfer({"method": "distil", "teacher": "somewhere", "temperature": 0.5})
