"""`run_fn` from Examples and features to an exported model, in one piece and after SIGKILL."""

import json
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_input import make_network, weights

from graft.models import trainer
from graft.models.checkpoint import Checkpoint
from graft.models.errors import GraftError

pytestmark = pytest.mark.slow


FINE_TUNE = {"method": "fine_tune", "epochs": 2, "head_epochs": 3, "learning_rate": 1e-3}


def run_process(*several, options=()):
    """Runs `run_fn` in a process of its own, for one set of arguments after the other."""
    paths = [pathlib.Path(args.model_run_dir).parent / "fn_args.json" for args in several]
    for path, args in zip(paths, several, strict=True):
        path.write_text(json.dumps(vars(args)))
    script = pathlib.Path(__file__).with_name("training_process.py")
    return subprocess.run(
        [sys.executable, str(script), *map(str, paths), *options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def probabilities(directory, images):
    served = tf.saved_model.load(str(directory)).signatures["serving_default"]
    return served(image_bytes=tf.constant(images))["probabilities"].numpy()


@pytest.fixture(scope="module")
def fine_tuned(training_input, tmp_path_factory):
    """The folder of one whole fine-tuning run."""
    out = tmp_path_factory.mktemp("fine_tuned")
    trainer.run_fn(training_input.fn_args(out, transfer=FINE_TUNE))
    return out


def test_run_writes_history_logs_head_and_export(fine_tuned, training_input):
    history = json.loads((fine_tuned / "run" / "history.json").read_text())
    assert history["method"] == "fine_tune"
    assert [row["phase"] for row in history["epochs"]] == ["head"] * 3 + ["fine_tune"] * 2
    assert {"epoch", "phase", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"} == set(history["epochs"][0])
    best = min(history["epochs"], key=lambda row: row["val_loss"])
    assert history["best_epoch"] == best["epoch"]
    assert list((fine_tuned / "run" / "tensorboard").glob("events.out.tfevents*"))
    assert keras.models.load_model(fine_tuned / "run" / "head.keras").output_shape == (None, 3)
    assert (fine_tuned / "model" / "saved_model.pb").is_file()
    answers = probabilities(fine_tuned / "model", training_input.images["test"])
    assert (answers.argmax(axis=1) == training_input.labels["test"]).mean() >= 0.9


def test_pictures_of_the_data_are_exported_only_if_asked_for(fine_tuned, training_input, tmp_path):
    def exported(out):
        content = b"".join(path.read_bytes() for path in sorted((out / "model").rglob("*")) if path.is_file())
        return sum(image in content for images in training_input.images.values() for image in images)

    assert exported(fine_tuned) == 0
    trainer.run_fn(training_input.fn_args(tmp_path, export={"warmup": "examples"}))
    assert exported(tmp_path) == 4


def test_checkpoint_is_gone_after_success(fine_tuned):
    assert not list((fine_tuned / "checkpoints").glob("*"))


def test_frozen_run_on_shuffled_labels_learns_nothing(training_input, tmp_path):
    """The twin of the accuracy above: without a relation between image and label the same code must fail."""
    for split in ("train", "eval"):
        folder = tmp_path / "features" / f"Split-{split}"
        folder.mkdir(parents=True)
        for file in ("features.npy", "sha256.npy"):
            (folder / file).symlink_to(training_input.features / f"Split-{split}" / file)
        labels = np.load(training_input.features / f"Split-{split}" / "labels.npy")
        np.save(folder / "labels.npy", np.random.default_rng(0).permutation(labels))
    for file in ("names.json", "backbone.json"):
        (tmp_path / "features" / file).symlink_to(training_input.features / file)
    trainer.run_fn(training_input.fn_args(tmp_path, features_path=str(tmp_path / "features")))
    answers = probabilities(tmp_path / "model", training_input.images["test"])
    assert (answers.argmax(axis=1) == training_input.labels["test"]).mean() < 0.7


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"transfer": {"method": "frozn"}}, "did you mean 'frozen'"),
        ({"transfer": {"method": "fine_tune", "unfreeze": 2.0}}, "less than or equal to 1"),
        ({"input": {"augment": {"flip": True}}}, r"input\.augment: method 'frozen'"),
        ({"train": {"epochs": 0}}, "epochs"),
        ({"hed": {}}, "hed"),
        ({"features_path": "nowhere"}, r"nowhere/names\.json: missing"),
    ],
    ids=["method", "method option", "augment", "epochs", "unknown key", "features"],
)
def test_unusable_settings_are_refused_before_training(training_input, tmp_path, config, message):
    with pytest.raises(GraftError, match=message):
        trainer.run_fn(training_input.fn_args(tmp_path, **config))
    assert not (tmp_path / "model").exists()


def test_features_of_another_backbone_are_refused(training_input, tmp_path):
    """The same address, other content: the head would be trained on vectors that the served network never gives."""
    backbone = tmp_path / "backbone.keras"
    make_network(seed=1).save(backbone)
    config = {"backbone": {"handle": str(backbone)}}
    with pytest.raises(GraftError, match=r"backbone\.json: the features are of another backbone: identity"):
        trainer.run_fn(training_input.fn_args(tmp_path, **config))
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_killed_run_continues_and_ends_as_the_uninterrupted_one(fine_tuned, training_input, tmp_path):
    train = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "checkpoint_seconds": 0.0}
    args = training_input.fn_args(tmp_path, transfer=FINE_TUNE, train=train)
    killed = run_process(args, options=("--die-after", "5"))
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert not (tmp_path / "model").exists()
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    trainer.run_fn(args)
    history, expected = (json.loads((out / "run" / "history.json").read_text()) for out in (tmp_path, fine_tuned))
    assert history["resumed_at"] == 4
    assert [row["val_loss"] for row in history["epochs"]] == [row["val_loss"] for row in expected["epochs"]]
    heads = [keras.models.load_model(out / "run" / "head.keras") for out in (tmp_path, fine_tuned)]
    for ours, theirs in zip(*map(weights, heads), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = training_input.images["test"]
    np.testing.assert_array_equal(
        probabilities(tmp_path / "model", images), probabilities(fine_tuned / "model", images)
    )
    assert not list((tmp_path / "checkpoints").iterdir())


def test_other_code_does_not_continue_an_old_training(training_input, tmp_path):
    """What the old code had learned is of other features, or does not even fit."""
    config = training_input.fn_args(tmp_path).custom_config
    task = training_input.task()
    names = [
        Checkpoint(tmp_path, trainer._identity(trainer.Settings.model_validate(config | {"code": code}), task)).path
        for code in ("a", "a", "b")
    ]
    assert names[0] == names[1] != names[2]
