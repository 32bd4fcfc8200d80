"""The Transform output, made by the real TFT on Beam: vocabulary and label indices."""

import functools

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from graft.models.preprocessing import _dense, preprocessing_fn, write_classes
from graft.models.targets.classes import read_vocabulary

COUNTS = {"a10": 9, "B3": 5, "a2": 1, "b20": 7, "\u732b": 2}
"""By frequency a10 is the first and a2 the last, by code points B3 is the first."""


@pytest.fixture
def transform(tmp_path):
    """transform(rows, settings, kind) -> the output folder, and the graph as a function of rows (lists of values)."""

    def run(rows, settings, kind=tf.string):
        spec = {"label": tf.io.VarLenFeature(kind)}
        metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
        function = functools.partial(preprocessing_fn, custom_config={"target": settings})
        with beam.Pipeline("DirectRunner") as pipeline, tft_beam.Context(temp_dir=str(tmp_path / "beam")):
            held = [[v.encode() if isinstance(v, str) else v for v in row] for row in rows]
            created = pipeline | beam.Create([{"label": row} for row in held])
            graph = (created, metadata) | tft_beam.AnalyzeDataset(function)
            _ = graph | tft_beam.WriteTransformFn(str(tmp_path / "out"))
        loaded = tf.saved_model.load(str(tmp_path / "out" / "transform_fn"))

        def index(rows):
            column = tf.ragged.constant(rows, dtype=kind, ragged_rank=1).to_sparse()
            found = loaded.transform_fn({"label": column})["label"]
            return (
                tf.sparse.to_dense(found, -9).numpy().tolist()
                if settings.get("kind") == "labels"
                else found.numpy().tolist()
            )

        index.kept = loaded
        return tmp_path / "out", index

    return run


@pytest.fixture
def one_label(transform):
    """one_label(labels, **target) -> the classes of the vocabulary, and the graph as a function of labels."""

    def run(labels, **target):
        output, index = transform([[label] if label else [] for label in labels], target)
        return read_vocabulary(output), lambda names: index([[name] for name in names])

    return run


def test_vocabulary_holds_the_training_labels(training_input):
    lines = (training_input.transform / "transform_fn" / "assets" / "label").read_text().splitlines()
    assert lines == ["blue", "green", "red"]


@pytest.mark.slow
def test_classes_are_in_natural_order_whatever_their_counts(one_label):
    labels = [name for name, count in COUNTS.items() for _ in range(count)]
    np.random.default_rng(3).shuffle(labels)
    classes, index = one_label([*labels, ""])
    assert classes == ["a2", "a10", "B3", "b20", "\u732b"]
    assert index([*classes, "a3", "A2"]) == [0, 1, 2, 3, 4, -1, -1]


@pytest.mark.slow
def test_configured_names_give_the_order_and_those_not_seen_are_left_out(one_label):
    classes, index = one_label(["one", "ten", "two", "ten"], class_names=["two", "ten", "one", "three"])
    assert classes == ["two", "ten", "one"]
    assert index(["one", "two", "three"]) == [2, 0, -1]


def test_file_of_classes_is_the_same_for_any_order_of_the_labels(tmp_path):
    names = [f"class {number}" for number in range(12)]
    for seed in range(3):
        shuffled = np.random.default_rng(seed).permutation(names)
        path = write_classes(frozenset(name.encode() for name in shuffled), str(tmp_path / str(seed)), None)
        assert tf.io.gfile.GFile(path.item()).read().splitlines() == names


@pytest.mark.slow
def test_several_labels_have_one_vocabulary_and_a_row_may_have_none(transform):
    output, index = transform([["b", "a"], [], ["c"], ["a", "c", "b"]], {"kind": "labels"})
    assert read_vocabulary(output) == ["a", "b", "c"]
    assert index([["c", "a"], [], ["x"]]) == [[2, 0], [-9, -9], [-1, -9]]


@pytest.mark.slow
def test_numbers_stay_what_they_are_and_have_no_vocabulary(transform):
    options = {"kind": "numbers", "columns": ["x", "y"]}
    output, index = transform([[1.0, 2.0], [3.0, 4.0]], options, tf.float32)
    assert index([[0.5, -2.0]]) == [[0.5, -2.0]]
    assert not (output / "transform_fn" / "assets" / "label").exists()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_values_are_dense_in_either_form(kind):
    values = tf.constant([[b"cat"], [b"dog"]])
    if kind == "sparse":
        values = tf.sparse.from_dense(values)
    assert _dense(values).numpy().tolist() == [[b"cat"], [b"dog"]]


def test_missing_value_becomes_empty_and_keeps_its_row():
    values = tf.SparseTensor([[1, 0]], [b"dog"], [3, 1])
    assert _dense(values).numpy().tolist() == [[b""], [b"dog"], [b""]]
    assert _dense(tf.SparseTensor(np.zeros((0, 2), np.int64), np.zeros(0, str), [2, 0])).numpy().tolist() == [[b""]] * 2
