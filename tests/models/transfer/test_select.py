"""Selective transfer: its limits, that candidates share nothing, what eval chooses, and that a kill changes nothing."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_loop import assert_equal_weights, fit, fit_and_leave, without_seconds
from training_input import CLASSES, IMAGE_SIZE, SIZES, weights

from graft.models.backbone import load_backbone
from graft.models.checkpoint import Checkpoint
from graft.models.errors import GraftError
from graft.models.features import write_backbone
from graft.models.inputs import KINDS, make_input
from graft.models.inputs.image.decoding import preprocess
from graft.models.transfer import select

SELECT = {"method": "select", "candidates": 2, "learning_rate": 1e-3, "epochs": 2}
SOLVED = {"solver": "lbfgs"}


def groups(task) -> list[str]:
    return [group.name for group in task.backbone.groups]


@pytest.mark.slow
def test_where_nothing_moves_all_is_transferred(training_input):
    task = training_input.task({**SELECT, "learning_rate": 1e-12}, head=SOLVED)
    published = weights(task.backbone)
    history = fit(task)
    losses = [entry["val_loss"] for entry in history.epochs]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
    (found,) = history.findings
    count = len(groups(task))
    assert count > 1 and [entry["phase"] for entry in history.epochs] == ["head", *["top 1"] * 2, *[f"top {count}"] * 2]
    for before, after in zip(published, weights(task.backbone), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)
    assert found.value.endswith(f" of {count}") and f"{count} kept {losses[0]:.4f}, " in found.words


@pytest.mark.slow
def test_one_candidate_is_fine_tuning_of_the_top_group(training_input):
    selected = training_input.task({**SELECT, "candidates": 1}, head=SOLVED)
    top = {"method": "fine_tune", "learning_rate": 1e-3, "epochs": 2, "unfreeze": groups(selected)[-1:]}
    tuned = training_input.task(top, head=SOLVED)
    histories = [fit(selected), fit(tuned)]
    assert_equal_weights(selected, tuned)
    told = [[{**entry, "phase": ""} for entry in without_seconds(history)] for history in histories]
    assert told[0] == told[1]


def test_every_candidate_begins_at_the_published_weights_and_the_fitted_head(training_input):
    task = training_input.task({**SELECT, "candidates": 10}, head=SOLVED)
    published = weights(task.backbone)
    (_, *candidates), counts = select.phases(task, task.options)
    assert counts == list(range(1, len(groups(task)) + 1)), "no candidate is there twice"
    fitted = [np.full(v.shape, 0.5, np.float32) for v in task.head.variables]
    for variable, value in zip(task.head.variables, fitted, strict=True):
        variable.assign(value)
    for candidate in candidates:
        candidate.begin()
        for variable, value in zip(task.head.variables, fitted, strict=True):
            np.testing.assert_array_equal(variable, value)
        for before, after in zip(published, weights(task.backbone), strict=True):
            np.testing.assert_array_equal(before, after)
        for variable in candidate.state[: len(candidate.state) - len(fitted)]:
            variable.assign(np.ones(variable.shape))


@pytest.fixture(scope="module")
def broken(training_input, tmp_path_factory):
    """A backbone without batch normalisation whose last convolution is dead, with features; and the training input."""
    root = tmp_path_factory.mktemp("broken")
    images = keras.Input((*IMAGE_SIZE, 3))
    maps = images
    for place, filters in enumerate((8, 16)):
        kernel = keras.initializers.HeNormal(seed=place) if not place else "zeros"
        maps = keras.layers.Conv2D(
            filters, 3, strides=2, activation="relu", kernel_initializer=kernel, name=f"block{place}_conv"
        )(maps)
    network = keras.Model(images, keras.layers.GlobalAveragePooling2D()(maps))
    network.save(root / "backbone.keras")
    features = root / "features"
    shutil.copytree(training_input.features, features)
    for split in SIZES:
        pixels = preprocess(tf.constant(training_input.images[split]), IMAGE_SIZE, (-1.0, 1.0))
        np.save(features / f"Split-{split}" / "features.npy", network(pixels, training=False).numpy())
    image = {"kind": "image", "image_size": IMAGE_SIZE, "value_range": (-1.0, 1.0)}
    takes = make_input(KINDS.options("image").model_validate(image))
    write_backbone(features, load_backbone(str(root / "backbone.keras"), takes))
    assert json.loads((features / "names.json").read_text()) == sorted(CLASSES)
    training_input.broken_backbone = root / "backbone.keras"
    return features


@pytest.mark.slow
def test_layers_that_do_harm_are_drawn_anew(training_input, broken):
    losses = {}
    for above in ("unfreeze", "redraw"):
        method = {**SELECT, "above": above, "epochs": 8, "learning_rate": 1e-2}
        task = training_input.task(method, kind="broken_backbone", head=SOLVED, features=broken, patience=12)
        lowest = weights(task.backbone)[0]
        history = fit(task)
        (found,) = history.findings
        losses[above] = history.best["val_loss"]
        if above == "redraw":
            assert found.value != "2 of 2" and history.best["phase"] != "head"
            if found.value == "1 of 2":
                np.testing.assert_array_equal(weights(task.backbone)[0], lowest)
    assert losses["redraw"] < 0.8 * losses["unfreeze"], "a dead layer stays dead where it begins as published"


@pytest.mark.slow
def test_what_is_drawn_anew_is_the_top_alone(training_input, broken):
    task = training_input.task(
        {**SELECT, "above": "redraw", "candidates": 1}, kind="broken_backbone", head=SOLVED, features=broken
    )
    published, fresh = weights(task.backbone), weights(task.head)
    (_, candidate), _ = select.phases(task, task.options)
    for _ in range(2):  # the same draw every time
        candidate.begin()
        drawn = weights(task.backbone)
        np.testing.assert_array_equal(drawn[0], published[0])
        assert drawn[2].std() > 0.01 and not published[2].any()
        again = drawn[2]
        for before, after in zip(fresh, weights(task.head), strict=True):
            np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(again, weights(task.backbone)[2])


def test_statistics_are_not_drawn_anew(training_input):
    with pytest.raises(
        GraftError, match=r"transfer\.above: received 'redraw'; .* batch normalisation.*allowed: unfreeze"
    ):
        fit(training_input.task({**SELECT, "above": "redraw"}, head=SOLVED))


STOPS = {3: "within a candidate", 4: "between two"}


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Where trainings that die at the STOPS leave their states."""
    return tmp_path_factory.mktemp("left")


@pytest.fixture(scope="module")
def whole(training_input, left):
    """A task that was trained without an interruption, and its history."""
    task = training_input.task(SELECT, head=SOLVED)
    return task, fit_and_leave(task, left, STOPS)


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", STOPS, ids=STOPS.values())
def test_killed_it_ends_as_an_uninterrupted_run(training_input, left, whole, stop_after):
    uninterrupted, history = whole
    resumed = training_input.task(SELECT, head=SOLVED)
    continued = fit(resumed, checkpoint=Checkpoint(left / str(stop_after), "t"))
    assert continued.resumed_at == stop_after - 1  # it is killed before it can write the last
    assert without_seconds(continued) == without_seconds(history)
    assert continued.findings == history.findings
    assert_equal_weights(uninterrupted, resumed)
