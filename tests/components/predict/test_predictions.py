"""Answers are kept as they are, for Graft and for TFMA, and a label that is no class is refused."""

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from graft.components.predict import executor
from graft.components.predict.predictions import Predictions, load
from graft.models.errors import GraftError

KEPT = Predictions(
    classes=["café noir", "<b>", "x"],
    labels=["x", "café noir"],
    probabilities=np.float32([[0.2, 0.1, 0.7], [0.1, 0.6, 0.3]]),
    sha256=[b"a" * 64, b"b" * 64],
    slices={"camera": ["left", ""], "a/b": ["ä", "1"]},
    images_per_second=3.5,
)


def test_arrays_come_back(tmp_path):
    KEPT.save(str(tmp_path))
    back = load(str(tmp_path))
    np.testing.assert_array_equal(back.probabilities, KEPT.probabilities)
    assert back.probabilities.dtype == np.float32
    for name in ("classes", "labels", "sha256", "slices", "images_per_second"):
        assert getattr(back, name) == getattr(KEPT, name)
    assert back.label_ids.tolist() == [2, 0] and back.correct.tolist() == [True, False]


def test_examples_hold_what_tfma_reads(tmp_path):
    KEPT.save(str(tmp_path))
    [file] = (tmp_path / "Split-test").iterdir()
    records = tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator()
    first, _ = (tf.train.Example.FromString(record).features.feature for record in records)
    assert [first[name].bytes_list.value[0] for name in ("label", "prediction")] == [b"x", b"x"]
    np.testing.assert_array_equal(np.float32(first["probabilities"].float_list.value), KEPT.probabilities[0])
    assert [first[name].bytes_list.value[0] for name in ("camera", "a/b")] == [b"left", "ä".encode()]


def test_a_label_that_is_no_class_of_the_model_is_refused(tmp_path, monkeypatch):
    examples, model, output = (
        standard_artifacts.Examples(),
        standard_artifacts.Model(),
        standard_artifacts.Examples(),
    )
    examples.uri, model.uri, output.uri = (str(tmp_path / name) for name in ("examples", "model", "predictions"))
    (tmp_path / "examples" / "Split-test").mkdir(parents=True)
    (tmp_path / "examples" / "Split-test" / "shard").touch()
    found = [KEPT]
    monkeypatch.setattr(executor, "predict", lambda *_: found[0])

    def run() -> None:
        inputs = {"examples": [examples], "model": [model]}
        executor.Executor().Do(inputs, {"predictions": [output]}, executor.Parameters(slices=["camera"]).dump())

    run()
    assert artifact_utils.decode_split_names(output.split_names) == ["test"]
    found[0] = Predictions(["x"], ["x", "glass"], KEPT.probabilities, KEPT.sha256, {}, 1.0)
    with pytest.raises(GraftError, match=r"test split: label 'glass' is not a class of the model \(x\)"):
        run()
