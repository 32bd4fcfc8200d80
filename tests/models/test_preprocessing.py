"""The Transform output, made by the real TFT on Beam: vocabulary and label indices."""

import functools

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from graft.models.datasets import read_classes
from graft.models.preprocessing import _single, preprocessing_fn, write_classes

COUNTS = {"a10": 9, "B3": 5, "a2": 1, "b20": 7, "\u732b": 2}
"""By frequency a10 is the first and a2 the last, by code points B3 is the first."""


@pytest.fixture
def transform(tmp_path):
    """transform(labels, **custom_config) -> the classes of the vocabulary, and the graph as a function of labels."""

    def run(labels, **custom_config):
        spec = {"label": tf.io.VarLenFeature(tf.string)}
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        function = functools.partial(preprocessing_fn, custom_config=custom_config or None)
        with beam.Pipeline("DirectRunner") as pipeline, tft_beam.Context(temp_dir=str(tmp_path / "beam")):
            rows = pipeline | beam.Create([{"label": [label.encode()] if label else []} for label in labels])
            graph = (rows, metadata) | tft_beam.AnalyzeDataset(function)
            _ = graph | tft_beam.WriteTransformFn(str(tmp_path / "out"))
        loaded = tf.saved_model.load(str(tmp_path / "out" / "transform_fn"))

        def index(names):
            column = tf.sparse.from_dense(tf.constant([[name.encode()] for name in names]))
            return loaded.transform_fn({"label": column})["label"].numpy().tolist()

        index.kept = loaded
        return read_classes(tmp_path / "out"), index

    return run


def test_vocabulary_holds_the_training_labels(training_input):
    lines = (training_input.transform / "transform_fn" / "assets" / "label").read_text().splitlines()
    assert lines == ["blue", "green", "red"]


def test_classes_are_in_natural_order_whatever_their_counts(transform):
    labels = [name for name, count in COUNTS.items() for _ in range(count)]
    np.random.default_rng(3).shuffle(labels)
    classes, index = transform([*labels, ""])
    assert classes == ["a2", "a10", "B3", "b20", "\u732b"]
    assert index([*classes, "a3", "A2"]) == [0, 1, 2, 3, 4, -1, -1]


def test_configured_names_give_the_order_and_those_not_seen_are_left_out(transform):
    classes, index = transform(["one", "ten", "two", "ten"], class_names=["two", "ten", "one", "three"])
    assert classes == ["two", "ten", "one"]
    assert index(["one", "two", "three"]) == [2, 0, -1]


def test_file_of_classes_is_the_same_for_any_order_of_the_labels(tmp_path):
    names = [f"class {number}" for number in range(12)]
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(names)
        path = write_classes(frozenset(name.encode() for name in shuffled), str(tmp_path / str(seed)), None)
        assert tf.io.gfile.GFile(path.item()).read().splitlines() == names


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_one_value_an_example_in_either_form(kind):
    values = tf.constant([[b"cat"], [b"dog"]])
    if kind == "sparse":
        values = tf.sparse.from_dense(values)
    assert _single(values).numpy().tolist() == [b"cat", b"dog"]


def test_missing_value_becomes_empty_and_keeps_its_row():
    values = tf.SparseTensor([[1, 0]], [b"dog"], [3, 1])
    assert _single(values).numpy().tolist() == [b"", b"dog", b""]
