"""The Transform output, made by the real TFT on Beam: vocabulary and label indices."""

import pytest
import tensorflow as tf

from models.preprocessing import _single


def test_vocabulary_holds_the_training_labels(training_input):
    lines = (training_input.transform / "transform_fn" / "assets" / "label").read_text().splitlines()
    assert sorted(lines) == ["blue", "green", "red"]


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_one_value_an_example_in_either_form(kind):
    values = tf.constant([[b"cat"], [b"dog"]])
    if kind == "sparse":
        values = tf.sparse.from_dense(values)
    assert _single(values).numpy().tolist() == [b"cat", b"dog"]


def test_missing_value_becomes_empty_and_keeps_its_row():
    values = tf.SparseTensor([[1, 0]], [b"dog"], [3, 1])
    assert _single(values).numpy().tolist() == [b"", b"dog", b""]
