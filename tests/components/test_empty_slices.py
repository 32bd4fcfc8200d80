"""The slice of the images without a value: ingestion writes an empty text, and TFMA and our gate call it the same."""

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tfx.components  # noqa: F401 - which mends TFMA 0.52
from ingest_request import request
from tensorflow_model_analysis.proto import config_pb2
from tfx_bsl.tfxio import tf_example_record

from graft.components.ingest.sources.base import About, Item
from graft.components.ingest.sources.columns import extra_columns
from graft.components.ingest.transforms import make_example
from graft.components.quality_gate.executor import read_evaluation
from graft.models.examples import read_examples

ROWS = [{"site": "left"}, {"site": None}, {}, {"site": ["a", "b"]}, {"site": "x" * 1001}, {"site": "left\0"}]


@pytest.mark.slow
def test_tfma_and_the_quality_gate_agree_on_every_slice(tmp_path):
    path = str(tmp_path / "examples.tfrecord")
    asked = request(source="tfrecord", path=path, slices=["site"])
    facts = {"width": 1, "height": 1, "format": "PNG"}
    with tf.io.TFRecordWriter(path) as writer:
        for number, row in enumerate(ROWS):
            item = Item(str(number), About(("cat",), columns=extra_columns(row, asked)))
            example = tf.train.Example.FromString(make_example(item, b"image", facts, b"\1" * 32, asked))
            example.features.feature["truth"].int64_list.value.append(0)
            example.features.feature["probabilities"].float_list.value.extend([0.75, 0.25])
            writer.write(example.SerializeToString())
    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key="truth", prediction_key="probabilities")],
        slicing_specs=[config_pb2.SlicingSpec(), config_pb2.SlicingSpec(feature_keys=["site"])],
        metrics_specs=[config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name="ExampleCount")])],
    )
    source = tf_example_record.TFExampleRecord(path, raw_record_column_name=tfma.ARROW_INPUT_COLUMN)
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | source.BeamSource()
            | tfma.ExtractEvaluateAndWriteResults(eval_config=config, output_path=str(tmp_path / "evaluation"))
        )
    _, slices = read_evaluation(str(tmp_path / "evaluation"))
    # As the gate's executor counts them.
    values, counts = np.unique([row["site"].decode() for row in read_examples([path], ("site",))], return_counts=True)
    ours = {("site", str(value)): count for value, count in zip(values, counts, strict=True)}
    assert ours == {key: row["example_count"] for key, row in slices.items()} == {("site", ""): 4, ("site", "left"): 2}
