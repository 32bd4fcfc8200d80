"""A task refuses data, head and weights that do not fit together."""

import dataclasses
import json

import numpy as np
import pytest

from graft.models.errors import GraftError
from graft.models.heads import build_head
from graft.models.options import HeadOptions
from graft.models.task import Split, check_same_classes, class_weights, load_split


def test_splits_are_memory_mapped(training_input):
    split = load_split(training_input.features, "eval")
    assert isinstance(split.features, np.memmap)
    assert split.features.shape == (18, 16)


def test_missing_features_are_named(tmp_path):
    with pytest.raises(GraftError, match=r"Split-eval/features\.npy: missing"):
        load_split(tmp_path, "eval")


def test_class_count_mismatch_is_refused(training_input):
    task = training_input.task()
    with pytest.raises(GraftError, match="head has 4 logits, but there are 3 classes"):
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
        (np.zeros((0, 16), np.float32), np.zeros(0, np.int64), "has no images"),
    ],
    ids=["one-hot", "too large", "rows", "empty"],
)
def test_unusable_split_is_refused(training_input, features, labels, message):
    task = training_input.task()
    with pytest.raises(GraftError, match=message):
        dataclasses.replace(task, eval=Split(features, labels))


def test_classes_of_features_and_vocabulary_must_agree(training_input, tmp_path):
    classes = json.loads((training_input.features / "names.json").read_text())
    check_same_classes(training_input.features, classes)
    with pytest.raises(GraftError, match="but the Transform vocabulary says"):
        check_same_classes(training_input.features, classes[::-1])


def test_class_weights():
    labels, classes = np.array([0, 0, 0, 1]), ["cat", "dog"]
    assert class_weights("none", labels, classes).tolist() == [1, 1]
    np.testing.assert_allclose(class_weights("balanced", labels, classes), [4 / 6, 2])
    assert class_weights({"dog": 3.0}, labels, classes).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"dgo": 2.0}, "'dgo' is not a class; allowed: cat, dog"),
        ({"dog": 0.0}, "received 0.0; allowed: a number above"),
    ],
    ids=["unknown class", "zero"],
)
def test_unusable_class_weights_are_refused(option, message):
    with pytest.raises(GraftError, match=message):
        class_weights(option, np.array([0, 1]), ["cat", "dog"])
