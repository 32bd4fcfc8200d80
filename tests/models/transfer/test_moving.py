"""The settings of methods that move the backbone: what moves, how fast, in which order, and what is refused."""

import numpy as np
import pydantic
import pytest
import tensorflow as tf
from small_inputs import texts
from test_loop import fit

from graft.models import loop, precision, targets
from graft.models.errors import GraftError
from graft.models.inputs import KINDS, make_input
from graft.models.options import HeadOptions
from graft.models.schedules import Scheduled
from graft.models.transfer import check_options, moving, parse_options

FINE_TUNE = {"method": "fine_tune", "epochs": 2, "head_epochs": 1, "learning_rate": 1e-3}
TRAINED = {"solver": "adam", "dropout": 0.0, "l2": 0.0}


def made(training_input, **settings):
    """The phases of fine-tuning with these settings, and their task."""
    task = training_input.task({**FINE_TUNE, **settings}, head=TRAINED)
    return task, moving.phases(task, task.options)


def rates(phase) -> dict[str, float]:
    """The base learning rate by the path of a variable."""
    return {variable.path: group.learning_rate for group in phase.groups for variable in group.variables}


def moved(training_input, kind="backbone", **settings) -> set[str]:
    """Which layers of the backbone a fine-tuning moved, by the names of their groups."""
    task = training_input.task({**FINE_TUNE, "epochs": 1, **settings}, kind, head=TRAINED)
    before = {id(v): v.numpy() for v in [*task.backbone.variables, *task.head.variables]}
    found = []
    task.training = task.training.model_copy(update={"min_delta": -1e9})  # the last weights are kept, not the best
    loop.run(task, moving.phases(task, task.options))
    for group in task.backbone.groups:
        changed = {bool((before[id(v)] != v.numpy()).any()) for v in group.variables}
        assert len(changed) == 1, "a group moves as a whole or not at all"
        found += [group.name] * changed.pop()
    assert all((before[id(v)] != v.numpy()).any() for v in task.head.trainable_variables)
    still = {id(v) for v in task.backbone.variables} - {id(v) for g in task.backbone.groups for v in g.variables}
    assert all((before[id(v)] == v.numpy()).all() for v in task.backbone.variables if id(v) in still)
    return set(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("backbone", {"unfreeze": ["conv_0"]}, {"conv_0"}),
        ("hub_backbone", {"unfreeze": ["conv_1*", "norm_1"]}, {"conv_1"}),
        ("backbone", {"layer_decay": 0.0}, {"conv_1"}),
        ("hub_backbone", {"layer_decay": 0.5, "head_first": False, "head_epochs": None}, {"conv_0", "conv_1"}),
    ],
)
def test_what_is_open_moves_and_the_rest_stays_bit_for_bit(training_input, kind, settings, expected):
    assert moved(training_input, kind, **settings) == expected


@pytest.mark.slow
def test_rates_of_head_and_groups(training_input):
    task, (_, phase) = made(training_input, layer_decay=0.25, head_multiplier=10.0)
    expected = {variable.path: 1e-2 for variable in task.head.trainable_variables}
    low, high = task.backbone.groups
    expected |= {variable.path: 1e-3 for variable in high.variables}
    expected |= {variable.path: 1e-3 / 4 for variable in low.variables}
    assert rates(phase) == pytest.approx(expected)
    assert len(phase.groups) == 3


@pytest.mark.parametrize("settings", [{}, {"layer_decay": 1.0, "head_multiplier": 1.0}])
def test_one_rate_is_one_adam_as_it_always_was(training_input, settings):
    task, (head, phase) = made(training_input, **settings)
    [group] = phase.groups
    assert [id(v) for v in group.variables] == [
        id(v) for v in [*task.head.trainable_variables, *task.backbone.trainable_variables]
    ]
    optimizer = group.optimizer(group.learning_rate)
    assert type(optimizer).__name__ == "Adam" and float(optimizer.learning_rate) == pytest.approx(1e-3)
    assert (optimizer.weight_decay, phase.clip, set(phase.learn.main.spec)) == (None, None, {"inputs", "targets"})
    assert (head.name, phase.name, phase.epochs) == ("head", "fine_tune", 2)


@pytest.mark.slow
def test_groups_of_nearly_one_rate_learn_what_one_group_learns(training_input):
    """The seam between one optimizer and several shows in no figure."""
    plain, apart = (training_input.task({**FINE_TUNE, "layer_decay": d}, head=TRAINED) for d in (1.0, 1.0 - 1e-7))
    histories = [fit(plain), fit(apart)]
    for one, other in zip(*(history.epochs for history in histories), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


def test_gradual_opens_a_group_more_in_each_phase(training_input):
    task, phases = made(training_input, gradual=True, gradual_epochs=3, epochs=7)
    low, high = ({variable.path for variable in group.variables} for group in task.backbone.groups)
    head = {variable.path for variable in task.head.trainable_variables}
    assert [phase.name for phase in phases] == ["head", "fine_tune 1 of 2", "fine_tune"]
    assert [phase.epochs for phase in phases] == [1, 3, 7]
    assert [set(rates(phase)) for phase in phases] == [head, head | high, head | high | low]
    assert {variable.path for variable in phases[1].state} == head | high


def test_gradual_of_one_group_is_refused(training_input):
    with pytest.raises(GraftError, match=r"transfer\.gradual: received true, but .* opens one group .*\(conv_1\)"):
        made(training_input, gradual=True, unfreeze=["conv_1"])


def test_schedules_span_a_phase(training_input):
    _, phases = made(training_input, gradual=True, schedule="steps", warmup=0.1, drops=[0.5, 0.75], epochs=10)
    for phase, steps in zip(phases[1:], (6, 60), strict=True):  # 42 examples in batches of 8
        plan = phase.groups[0].optimizer(1.0)._learning_rate._plan
        assert (plan.steps, plan.warmup, list(plan.drops)) == (
            steps,
            round(steps / 10),
            [steps // 2, round(steps * 0.75)],
        )


@pytest.mark.slow
def test_a_phase_with_a_schedule_runs_to_its_end(training_input):
    """A rate that starts at nothing gains nothing at first."""
    for settings, epochs in (({"warmup": 0.5}, 4), ({}, 2)):
        method = {**FINE_TUNE, "unfreeze": ["conv_1"], "epochs": 4, "learning_rate": 1e-12, **settings}
        history = fit(training_input.task(method, head=TRAINED, patience=2, min_delta=1.0))
        assert sum(entry["phase"] == "fine_tune" for entry in history.epochs) == epochs


def test_the_bit_recipe_fills_in(training_input):
    task = training_input.task({"method": "fine_tune", "recipe": "bit", "head_first": False}, head=TRAINED)
    [phase] = moving.phases(task, task.options)
    steps_an_epoch, rate = 6, 0.003 * 8 / 512
    assert phase.epochs == -(-500 // steps_an_epoch)
    [group] = phase.groups
    optimizer = group.optimizer(group.learning_rate)
    assert group.learning_rate == pytest.approx(rate)
    assert (type(optimizer).__name__, optimizer.momentum, optimizer.weight_decay) == ("SGD", 0.9, None)
    schedule = optimizer._learning_rate
    assert isinstance(schedule, Scheduled)
    found = [float(schedule(step)) / rate for step in (0, 50, 150, 250, 350, 450)]
    assert found == pytest.approx([0, 0.5, 1, 0.1, 0.01, 0.001], rel=1e-4)
    assert not task.head.layers[-1].kernel.numpy().any(), "the head begins at zeros"
    assert "share" not in phase.learn.main.spec and not phase.stops_early


@pytest.mark.parametrize("beside", [{}, {"learning_rate": 0.5}, {"optimizer": "sgd", "layer_decay": 1.0}])
def test_settings_beside_a_recipe_are_read_again_as_they_were(beside):
    options = parse_options({"method": "fine_tune", "recipe": "bit", **beside})
    again = parse_options(options.model_dump(mode="json"))
    assert again.model_dump() == options.model_dump()
    assert ("epochs" in again.model_fields_set, "learning_rate" in again.model_fields_set) == (
        False,
        "learning_rate" in beside,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "bit", "epochs": 5}, "recipe 'bit' sets epochs, .* itself; leave out epochs: 5"),
        ({"recipe": "bit", "optimizer": "adam"}, "leave out optimizer: adam"),
        ({"recipe": "bit", "mixup": 0.0, "layer_decay": 0.5}, "leave out mixup: 0.0, layer_decay: 0.5"),
        ({"momentum": 0.9}, "momentum 0.9 is of optimizer sgd; received optimizer adam"),
        ({"weight_decay": 0.1}, "weight_decay 0.1 is of optimizer adamw or sgd; received optimizer adam"),
        ({"drops": [0.5]}, r"drops \[0.5\] is of schedule steps; received schedule constant"),
        ({"schedule": "slanted_triangular", "warmup": 0.1}, "a warm-up of its own; leave out warmup 0.1"),
        ({"schedule": "steps", "drops": [0.5, 0.4]}, r"drops must rise.*received \[0.5, 0.4\]"),
        ({"schedule": "steps", "drops": [0.1], "warmup": 0.2}, "begin after warmup 0.2"),
        ({"head_first": False, "head_epochs": 3}, "head_epochs 3 needs head_first true"),
        ({"gradual_epochs": 3}, "gradual_epochs 3 needs gradual true"),
        ({"unfreeze": []}, "at least 1 item"),
        ({"unfreeze": 1.5}, "less than or equal to 1"),
        ({"layer_decay": 1.1}, "less than or equal to 1"),
        ({"clip": 0}, "greater than 0"),
        ({"mixup": -0.1}, "greater than or equal to 0"),
        ({"optimizer": "rmsprop"}, "'adam', 'adamw' or 'sgd'"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(settings, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        parse_options({"method": "fine_tune", **settings})


def test_texts_are_not_mixed():
    label = targets.parse_options({})
    options = parse_options({"method": "fine_tune", "mixup": 0.2})
    check_options(options, HeadOptions(), make_input(KINDS.options("image")()), label)
    check_options(parse_options({"method": "fine_tune"}), HeadOptions(), texts(), label)
    with pytest.raises(
        GraftError, match=r"transfer\.mixup: received 0\.2; texts cannot be mixed, so only 0 is allowed"
    ):
        check_options(options, HeadOptions(), texts(), label)


def test_a_pattern_that_names_nothing_is_refused_before_training(training_input):
    task = training_input.task({**FINE_TUNE, "unfreeze": ["block_16*"]}, head=TRAINED)
    before = [variable.numpy() for variable in task.head.variables]
    with pytest.raises(GraftError, match=r"transfer\.unfreeze: 'block_16\*' matches no .*: conv_0, conv_1$"):
        fit(task)
    for old, new in zip(before, task.head.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.slow
def test_one_backward_pass_serves_all_groups(training_input):
    task, (_, phase) = made(training_input, layer_decay=0.5, head_multiplier=2.0)
    assert len(phase.groups) == 3
    passes = []

    @tf.custom_gradient
    def watched(losses):
        def backward(upstream):
            passes.append(1)
            return upstream

        return tf.identity(losses), backward

    plain = phase.learn.objective

    def objective(batches):
        outcome = plain(batches)
        outcome.losses["loss"] = watched(outcome.losses["loss"])
        return outcome

    phase.learn.objective, phase.epochs = objective, 1
    loop.run(task, [phase])
    assert passes == [1], "the backward pass was traced once"


@pytest.mark.slow
def test_several_groups_in_16_bit(training_input, monkeypatch):
    monkeypatch.setattr(precision, "choose_policy", lambda option: "mixed_float16")
    settings = {**FINE_TUNE, "layer_decay": 0.5, "clip": 1.0}
    half = training_input.task(settings, head=TRAINED, mixed_precision="on")
    history = fit(half)
    monkeypatch.setattr(precision, "choose_policy", lambda option: "float32")
    whole = fit(training_input.task(settings, head=TRAINED))
    for one, other in zip(history.epochs, whole.epochs, strict=True):
        assert one["val_loss"] == pytest.approx(other["val_loss"], abs=0.02)
