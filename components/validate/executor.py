"""Executor of `validate`: anomalies of the statistics against the schema."""

import pathlib
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from graft.components import tfdv
from graft.components.executor import Artifacts, BaseExecutor

ANOMALIES_FILE = "SchemaDiff.pb"


class Executor(BaseExecutor):
    """Does what TFX's own does, without TensorFlow."""

    def run(self, inputs: Artifacts, outputs: Artifacts, given: dict[str, Any]) -> None:
        """Writes `SchemaDiff.pb` of each split, and whether it has none in the artifact's property `blessed`.

        Args:
            inputs: `statistics` and `schema`, one artifact each.
            outputs: `anomalies`.
            given: of TFX's ExampleValidator; as Graft wires it, no split is left out and no SQL is given.
        """
        statistics = inputs.artifact("statistics")
        anomalies = outputs.artifact("anomalies")
        anomalies.split_names, anomalies.span = statistics.split_names, statistics.span
        (file,) = inputs.path("schema").glob("*.pbtxt")
        schema = text_format.Parse(file.read_text(encoding="utf-8"), schema_pb2.Schema())
        blessed = {}
        for split in inputs.splits("statistics"):
            found = tfdv.find_anomalies(tfdv.read_statistics(statistics, split), schema)
            blessed[split] = int(not (found.anomaly_info or found.HasField("dataset_anomaly_info")))
            folder = pathlib.Path(outputs.split_uri("anomalies", split))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ANOMALIES_FILE).write_bytes(found.SerializeToString())
        anomalies.set_json_value_custom_property("blessed", blessed)
