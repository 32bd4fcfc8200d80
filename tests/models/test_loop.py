"""The shared loop: early stop, best weights, determinism, continuing, divergence, class weights."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2
from training_input import weights

from graft.models import loop, memory, progress
from graft.models.checkpoint import Checkpoint
from graft.models.errors import GraftError
from graft.models.phase import Group
from graft.models.standard_phases import backbone_phase, head_phase
from graft.models.task import Split
from graft.models.transfer import METHODS

pytestmark = pytest.mark.slow


FINE_TUNE = {"method": "fine_tune", "epochs": 3, "head_epochs": 2, "learning_rate": 1e-3}
AUGMENT = {"flip": True, "color": 0.2}


class Killed(BaseException):
    """Stands for the end of the process."""


def fit(task, checkpoint=None, stop_after=None):
    """Trains; with stop_after, dies when that many epochs are done."""

    def sink(stage, done, total, unit, figures):
        if unit == "epochs" and done == stop_after:
            raise Killed

    task.checkpoint = checkpoint
    previous = progress.set_sink(sink)
    try:
        return METHODS.module(task.options.method).fit(task)
    finally:
        progress.set_sink(previous)


def fit_and_leave(task, folder, stops, units=("epochs",)):
    """Trains to the end, and keeps what a process would have left behind that died on the way.

    Args:
        task: what is trained.
        folder: of the checkpoints, below which they are copied too.
        stops: epochs that a process would not survive; `Checkpoint(folder / "3", "t")` is what it leaves at the third.
        units: what counts as an epoch.

    Returns:
        The history of the whole training.
    """
    whole = folder / "whole"
    whole.mkdir(parents=True)

    def sink(stage, done, total, unit, figures):
        if unit in units and done in stops:
            shutil.copytree(whole, folder / str(done))

    task.checkpoint = Checkpoint(whole, "t")
    previous = progress.set_sink(sink)
    try:
        history = METHODS.module(task.options.method).fit(task)
    finally:
        progress.set_sink(previous)
    assert {path.name for path in folder.iterdir()} == {"whole", *map(str, stops)}
    return history


def assert_equal_weights(first, second):
    for layer in ("backbone", "head"):
        for a, b in zip(weights(getattr(first, layer)), weights(getattr(second, layer)), strict=True):
            np.testing.assert_array_equal(a, b)


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs]


def test_early_stop_after_patience_and_best_weights_restored(training_input):
    task = training_input.task(epochs=50, patience=2, learning_rate=3.0)
    history = fit(task)
    losses = [row["val_loss"] for row in history.epochs]
    assert history.best_epoch == int(np.argmin(losses)) + 1
    assert len(losses) == history.best_epoch + 2 < 50
    eval_only = loop.run(
        dataclasses.replace(task, training=task.training.model_copy(update={"learning_rate": 1e-12, "epochs": 1})),
        [dataclasses.replace(head_phase(task, 1), groups=[Group(task.head.trainable_variables, 1e-12)])],
    )
    assert eval_only.best["val_loss"] == pytest.approx(min(losses), abs=1e-4)


def test_min_delta_counts_small_gains_as_none(training_input):
    history = fit(training_input.task(epochs=30, patience=2, min_delta=100.0))
    assert len(history.epochs) == 3  # the first is always better than nothing, then two without a gain
    assert history.best_epoch == 1


def test_two_runs_are_bit_equal_and_another_seed_is_not(training_input):
    tasks = [training_input.task(seed=seed) for seed in (1, 1, 2)]
    histories = [fit(task) for task in tasks]
    assert_equal_weights(tasks[0], tasks[1])
    assert without_seconds(histories[0]) == without_seconds(histories[1])
    assert without_seconds(histories[0]) != without_seconds(histories[2])


@pytest.fixture(scope="module")
def whole(training_input):
    """An uninterrupted fine-tuning with augmentation, and its history."""
    task = training_input.task(FINE_TUNE, augment=AUGMENT)
    return task, fit(task)


@pytest.mark.parametrize("stop_after", [2, 4], ids=["at the end of the head", "while fine-tuning"])
def test_continued_run_ends_as_an_uninterrupted_one(training_input, whole, tmp_path, stop_after):
    checkpoint = Checkpoint(tmp_path, "run")
    with pytest.raises(Killed):
        fit(training_input.task(FINE_TUNE, augment=AUGMENT), checkpoint, stop_after)
    assert checkpoint.path.is_file()
    continued = training_input.task(FINE_TUNE, augment=AUGMENT)
    continued.log_dir = tmp_path / "log"
    history = fit(continued, checkpoint)
    # What the checkpoint holds is one epoch older: the process died before it was written.
    assert history.resumed_at == stop_after - 1
    assert_equal_weights(whole[0], continued)
    assert without_seconds(history) == without_seconds(whole[1])
    [log] = continued.log_dir.iterdir()
    steps = {event.step for event in tf.compat.v1.train.summary_iterator(str(log)) if event.summary.value}
    assert steps == {entry["epoch"] for entry in history.epochs}, "the killed run's log is gone with its folder"


@pytest.mark.parametrize(
    ("meta", "arrays"),
    [({}, {}), ({"phase": 7}, {}), ({"phase": 1}, {}), ({"phase": 1, "epoch": 0}, {"state0": np.zeros(3)})],
)
def test_a_state_that_does_not_fit_is_an_error(training_input, tmp_path, meta, arrays):
    checkpoint = Checkpoint(tmp_path, "run")
    checkpoint.save(meta, arrays)
    with pytest.raises(GraftError, match=r"not a readable checkpoint \(.+\); delete it to start anew"):
        fit(training_input.task(FINE_TUNE), checkpoint)


def test_without_its_checkpoint_a_run_starts_anew(training_input, tmp_path):
    with pytest.raises(Killed):
        fit(training_input.task(), Checkpoint(tmp_path, "run"), 3)
    history = fit(training_input.task(), Checkpoint(tmp_path, "another run"))
    assert history.resumed_at is None


def test_divergence_stops_with_the_reason(training_input):
    task = training_input.task()
    features = np.array(task.train.features)
    features[5] = np.nan
    broken = dataclasses.replace(task, train=Split(features, task.train.targets))
    with pytest.raises(GraftError, match=r"the loss became nan in phase 'head', epoch 1; the learning rate 0\.01"):
        fit(broken)


def test_class_weights_move_answers_towards_the_heavy_class(training_input):
    light, heavy = (training_input.task(class_weights=w) for w in ({"red": 0.01}, {"red": 100.0}))
    share = []
    for task in (light, heavy):
        fit(task)
        answers = task.head(task.train.features, training=False).numpy().argmax(axis=1)
        share.append((answers == task.target.names.index("red")).mean())
    assert share[0] < 0.1
    assert share[1] > 0.6


def test_label_smoothing_lowers_confidence(training_input):
    confidence = []
    for smoothing in (0.0, 0.6):
        task = training_input.task(label_smoothing=smoothing, epochs=30, patience=30, learning_rate=0.1)
        fit(task)
        logits = task.head(task.train.features, training=False).numpy()
        confidence.append((np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).max(axis=1).mean())
    assert confidence[1] < confidence[0] - 0.1


def test_progress_and_tensorboard(training_input, tmp_path):
    task = training_input.task({"method": "fine_tune", "epochs": 1, "head_epochs": 1})
    task.log_dir = tmp_path
    seen = []
    previous = progress.set_sink(lambda *received: seen.append(received))
    try:
        METHODS.module("fine_tune").fit(task)
    finally:
        progress.set_sink(previous)
    epochs = [received for received in seen if received[3] == "epochs"]
    assert [received[:3] for received in epochs] == [("train", 1, 2), ("train", 2, 2)]
    assert set(epochs[0][4]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    images = [received[1:3] for received in seen if received[3] == "images"]
    assert images[:6] == [(8, 42), (16, 42), (24, 42), (32, 42), (40, 42), (42, 42)]
    assert images[-1] == (18, 18)
    [log] = tmp_path.iterdir()
    assert log.name.startswith("events.out.tfevents")
    events = [
        event for record in tf.data.TFRecordDataset(str(log)) for event in [event_pb2.Event.FromString(record.numpy())]
    ]
    drawn = {
        (value.tag, event.step): tf.make_ndarray(value.tensor) for event in events for value in event.summary.value
    }
    assert {step for _, step in drawn} == {1, 2} and {name for name, _ in drawn} == set(epochs[0][4])
    assert drawn["val_loss", 2] == pytest.approx(epochs[1][4]["val_loss"])


def test_a_network_from_scratch_is_judged_by_statistics_of_its_own_weights(training_input):
    """A dozen steps move Keras' moving averages by a tenth only; by those the features would be others."""
    task = training_input.task(FINE_TUNE)
    task.backbone.unfreeze(1.0)
    loop.run(task, [backbone_phase(task, 2, 0.01, "scratch", batch_norm_training=True)])
    images = tf.concat([batch["inputs"] for batch in task.inputs(task.train).ordered()], 0)
    judged = task.backbone(images, training=False).numpy()
    learned = task.backbone(images, training=True).numpy()
    assert np.abs(judged - learned).mean() < 0.1 * learned.std()


def test_batches_that_cannot_fit_are_refused_before_training(training_input, monkeypatch):
    task = training_input.task(FINE_TUNE, batch_size=8)
    task.backbone.unfreeze(1.0)
    phase = backbone_phase(task, 1, 1e-3)
    need, batch = loop.least_bytes(phase, 8)
    moved = sum(np.prod(variable.shape) for variable in phase.trainable)
    assert (need, batch) == (3 * 8 * 16 * 16 * 3 * 4 + 16 * moved, 8)
    # One batch is all there is of 42 images, however large a batch may be.
    assert loop.least_bytes(phase, 10**9) == (42 * 16 * 16 * 3 * 4 + 16 * moved, 42)

    monkeypatch.setattr(memory, "available", lambda: memory.Available(need - 1, "the container"))
    with pytest.raises(
        GraftError, match=r"^train: batches of 8 images of 16 x 16 x 3 take at least .* the container; "
    ) as no:
        loop.run(task, [phase])
    assert str(no.value).endswith("lower train.batch_size or the size that `input` gives them")
