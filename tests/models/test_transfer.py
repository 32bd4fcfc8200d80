"""The registry, and what each method moves and leaves alone."""

import subprocess
import sys

import numpy as np
import pydantic
import pytest
from training_input import weights

from graft.models import targets
from graft.models.errors import GraftError
from graft.models.inputs import KINDS, make_input
from graft.models.options import HeadOptions
from graft.models.transfer import METHODS, check_options, parse_options, reads_inputs


def test_unknown_method_names_the_nearest():
    with pytest.raises(GraftError, match=r"transfer\.method: received 'fine-tune'; did you mean 'fine_tune'\?"):
        METHODS.module("fine-tune")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_the_parts_the_registry_asks_for(name):
    module = METHODS.module(name)
    assert callable(module.fit)
    assert isinstance(module.REFITS, bool)
    assert next(iter(module.Options.model_fields)) == "method"
    assert isinstance(reads_inputs(parse_options({"method": name})), bool)
    with pytest.raises(pydantic.ValidationError, match="no_such_option"):
        parse_options({"method": name, "no_such_option": 1})
    fields = module.Options.model_fields
    assert all(field.description for key, field in fields.items() if key != "method")


def test_checking_options_imports_neither_keras_nor_tensorflow():
    code = (
        "import sys; from graft.models.transfer import METHODS; import graft.models.settings;"
        "[METHODS.options(name)() for name in METHODS];"
        "assert not {'keras', 'tensorflow'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


PLAIN = make_input(KINDS.options("image")())
AUGMENTED = make_input(KINDS.options("image")(augment={"flip": True}))
LABEL = targets.parse_options({})


def test_augmentation_needs_a_method_that_reads_inputs():
    for method in ({"method": "fine_tune"}, {"method": "joint", "unfreeze": 0.5}):
        check_options(parse_options(method), HeadOptions(), AUGMENTED, LABEL)
    for name in ("frozen", "joint"):
        check_options(parse_options({"method": name}), HeadOptions(), PLAIN, LABEL)
        with pytest.raises(GraftError, match=rf"input\.augment: method '{name}' .* received \{{'flip': True\}}"):
            check_options(parse_options({"method": name}), HeadOptions(), AUGMENTED, LABEL)


def test_a_head_refitted_on_eval_must_not_be_followed_by_a_choice_on_eval():
    check_options(parse_options({"method": "frozen"}), HeadOptions(refit=True), PLAIN, LABEL)
    for name in ("fine_tune", "joint"):
        with pytest.raises(GraftError, match=rf"head\.refit: method '{name}' .* use method 'frozen'"):
            check_options(parse_options({"method": name}), HeadOptions(refit=True), PLAIN, LABEL)


def test_a_method_says_what_it_cannot_do(monkeypatch):
    def check(options, head, input, target):
        if target.kind == "numbers":
            raise GraftError(f"transfer.method: {options.method!r} needs classes; received target.kind 'numbers'")

    numbers = targets.parse_options({"kind": "numbers", "columns": ["length"]})
    options = parse_options({"method": "frozen"})
    check_options(options, HeadOptions(), PLAIN, numbers)
    monkeypatch.setattr(METHODS.module("frozen"), "check", check, raising=False)
    check_options(options, HeadOptions(), PLAIN, LABEL)
    with pytest.raises(GraftError, match=r"'frozen' needs classes; received target\.kind 'numbers'"):
        check_options(options, HeadOptions(), PLAIN, numbers)


def test_frozen_trains_the_head_and_nothing_else(training_input):
    task = training_input.task()
    model_parameters = [*task.backbone.trainable_variables, *task.head.trainable_variables]
    assert len(model_parameters) == len(task.head.trainable_variables) > 0
    backbone, head = weights(task.backbone), weights(task.head)
    history = METHODS.module("frozen").fit(task)
    for before, after in zip(backbone, weights(task.backbone), strict=True):
        np.testing.assert_array_equal(before, after)
    assert all((before != after).any() for before, after in zip(head, weights(task.head), strict=True))
    assert history.best["val_loss"] < history.epochs[0]["val_loss"] + 1e-6
    assert [row["phase"] for row in history.epochs] == ["head"] * 4
    assert history.steps == 4 * 6


def fine_tuned(training_input, unfreeze, kind="backbone"):
    """Variables of the backbone before and after, by path, and the history."""
    method = {"method": "fine_tune", "unfreeze": unfreeze, "epochs": 2, "head_epochs": 2, "learning_rate": 1e-3}
    task = training_input.task(method, kind)
    before = {v.path: v.numpy() for v in task.backbone.variables}
    history = METHODS.module("fine_tune").fit(task)
    moved = {path for path, value in before.items() if (value != paths(task)[path]).any()}
    return task, moved, history


def paths(task):
    return {v.path: v.numpy() for v in task.backbone.variables}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["backbone", "hub_backbone"])
def test_fine_tune_moves_all_trainable_variables_but_no_batch_statistics(training_input, kind):
    task, moved, history = fine_tuned(training_input, 1.0, kind)
    assert [row["phase"] for row in history.epochs] == ["head", "head", "fine_tune", "fine_tune"]
    assert history.best["phase"] == "fine_tune"
    assert moved == {v.path for v in task.backbone.trainable_variables}
    assert not any("moving" in path for path in moved)
    assert sum("moving" in path for path in paths(task)) == 4


@pytest.mark.slow
def test_fine_tune_of_the_top_leaves_the_bottom_alone(training_input):
    task, moved, _ = fine_tuned(training_input, 0.5)
    assert moved
    assert all("conv_1" in path or "norm_1" in path for path in moved)
    assert any("conv_0" in path for path in paths(task))


@pytest.mark.slow
def test_fine_tune_that_does_harm_ends_with_the_weights_of_the_head_phase(training_input):
    ruinous = {"method": "fine_tune", "epochs": 1, "head_epochs": 20, "learning_rate": 50.0}
    task = training_input.task(ruinous, learning_rate=0.03)
    before = weights(task.backbone)
    history = METHODS.module("fine_tune").fit(task)
    assert history.best["phase"] == "head"
    assert history.epochs[-1]["val_loss"] > history.best["val_loss"]
    for old, new in zip(before, weights(task.backbone), strict=True):
        np.testing.assert_array_equal(old, new)
    logits = task.head(task.eval.features, training=False).numpy()
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(log_p)), task.eval.targets].mean()
    assert loss == pytest.approx(history.best["val_loss"], abs=1e-5)
