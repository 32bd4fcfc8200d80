"""A task refuses data, head and weights that do not fit together."""

import dataclasses

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.heads import build_head
from graft.models.options import HeadOptions
from graft.models.targets import make_target
from graft.models.task import Split, check_same_names, load_split


def test_splits_are_memory_mapped(training_input):
    split = load_split(training_input.features, "eval")
    assert isinstance(split.features, np.memmap)
    assert split.features.shape == (18, 16)


def test_missing_features_are_named(tmp_path):
    with pytest.raises(GraftError, match=r"Split-eval/features\.npy: missing"):
        load_split(tmp_path, "eval")


def test_class_count_mismatch_is_refused(training_input):
    task = training_input.task()
    with pytest.raises(GraftError, match="head has 4 outputs, but the target takes 3"):
        dataclasses.replace(task, head=build_head(4, 16, HeadOptions()))


def test_feature_length_mismatch_is_refused(training_input):
    task = training_input.task()
    with pytest.raises(GraftError, match=r"features have shape \[42, 16\]; allowed: \[42, 17\]"):
        dataclasses.replace(task, head=build_head(3, 17, HeadOptions()))


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((2, 16), np.float32), np.eye(3, dtype=np.int64)[:2], "one-hot"),
        (np.zeros((2, 16), np.float32), np.array([0, 3]), "3 classes"),
        (np.zeros((3, 16), np.float32), np.array([0, 1]), r"\[3, 16\]"),
        (np.zeros((0, 16), np.float32), np.zeros(0, np.int64), "has no examples"),
    ],
    ids=["one-hot", "too large", "rows", "empty"],
)
def test_unusable_split_is_refused(training_input, features, labels, message):
    task = training_input.task()
    with pytest.raises(GraftError, match=message):
        dataclasses.replace(task, eval=Split(features, labels))


def test_names_of_features_and_target_must_agree(training_input):
    target = training_input.task().target
    check_same_names(training_input.features, target)
    other = make_target(target.options, target.names[::-1])
    with pytest.raises(GraftError, match=r"names\.json: holds \[.*\], but the target's names are"):
        check_same_names(training_input.features, other)


def test_a_split_is_opened_once(training_input):
    task = training_input.task()
    opened = task.inputs(task.train)
    assert task.inputs(task.train) is opened and task.inputs(task.eval) is not opened
    blind = task.inputs(task.train, labelled=False)
    assert "targets" in opened.spec and "targets" not in blind.spec
    task.training = task.training.model_copy(update={"batch_size": 3})
    batch = next(task.inputs(task.train).ordered())
    assert len(batch["targets"]) == 3 and len(next(opened.ordered())["targets"]) == 8
