"""TFDV called without TensorFlow gives what TFDV gives, and the two stages write it where TFX's own would."""

import json
import pathlib

import pandas
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.types import standard_artifacts

from graft.components import tfdv as ours
from graft.components.schema.executor import Executor as Schema
from graft.components.validate.executor import Executor as Validate
from graft.models.errors import GraftError

TABLES = {
    "train": {"label": ["cat", "dog"] * 30, "width": [8, 9] * 30, "none": [None] * 60},
    "eval": {"label": ["cat", "cow"] * 20, "width": [8, 9] * 20, "none": [None] * 40},
    "odd": {"label": ["cat", "horse"] * 20, "height": [1.5, 2.5] * 20},
}


@pytest.fixture(scope="module")
def lists():
    """Statistics by name of the table."""
    return {name: tfdv.generate_statistics_from_dataframe(pandas.DataFrame(table)) for name, table in TABLES.items()}


@pytest.fixture
def statistics(lists, tmp_path):
    """`statistics(*splits)` is an artifact with them."""

    def write(*splits: str) -> standard_artifacts.ExampleStatistics:
        artifact = standard_artifacts.ExampleStatistics()
        artifact.uri, artifact.span, artifact.split_names = str(tmp_path / "statistics"), 3, json.dumps(splits)
        for split in splits:
            path = tmp_path / "statistics" / f"Split-{split}" / ours.STATISTICS_FILE
            path.parent.mkdir(parents=True)
            path.write_bytes(lists[split].SerializeToString())
        return artifact

    return write


def test_schema_and_anomalies_are_those_of_tfdv(lists):
    plain = {name: found.datasets[0] for name, found in lists.items()}
    theirs = tfdv.update_schema(tfdv.infer_schema(lists["train"]), lists["eval"])
    assert ours.update_schema(ours.infer_schema(plain["train"]), plain["eval"]) == theirs and theirs.feature
    for name, found in lists.items():
        anomalies = ours.find_anomalies(plain[name], theirs)
        assert anomalies == tfdv.validate_statistics(found, theirs)
        assert bool(anomalies.anomaly_info) == (name == "odd")


def test_stages_write_what_later_ones_read(statistics, lists, tmp_path):
    given, schema, anomalies = (
        statistics("train", "odd"),
        standard_artifacts.Schema(),
        standard_artifacts.ExampleAnomalies(),
    )
    schema.uri, anomalies.uri = str(tmp_path / "schema"), str(tmp_path / "anomalies")
    Schema().Do({"statistics": [given]}, {"schema": [schema]}, {})
    theirs = tfdv.update_schema(tfdv.infer_schema(lists["train"]), lists["odd"])
    file = tmp_path / "schema" / "schema.pbtxt"
    assert text_format.Parse(file.read_text(), schema_pb2.Schema()) == theirs
    strict = tfdv.infer_schema(lists["train"])
    file.write_text(text_format.MessageToString(strict))
    Validate().Do({"statistics": [given], "schema": [schema]}, {"anomalies": [anomalies]}, {})
    assert (anomalies.split_names, anomalies.span) == (given.split_names, 3)
    assert anomalies.get_json_value_custom_property("blessed") == {"train": 1, "odd": 0}
    for split in ("train", "odd"):
        written = pathlib.Path(anomalies.uri, f"Split-{split}", "SchemaDiff.pb").read_bytes()
        assert anomalies_pb2.Anomalies.FromString(written) == tfdv.validate_statistics(lists[split], strict)


def test_statistics_of_nothing_give_no_schema(statistics):
    with pytest.raises(GraftError, match="holds statistics of no split"):
        Schema().Do({"statistics": [statistics()]}, {"schema": []}, {})
