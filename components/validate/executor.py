"""Executor of `validate`: anomalies of the statistics against the schema."""

import pathlib
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from graft.components import tfdv

ANOMALIES_FILE = "SchemaDiff.pb"


class Executor(base_executor.BaseExecutor):
    """Does what TFX's own does, without TensorFlow."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `SchemaDiff.pb` of each split, and whether it has none in the artifact's property `blessed`.

        Args:
            input_dict: `statistics` and `schema`, one artifact each.
            output_dict: `anomalies`.
            exec_properties: of TFX's ExampleValidator; as Graft wires it, no split is left out and no SQL is given.
        """
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        anomalies.split_names, anomalies.span = statistics.split_names, statistics.span
        (file,) = pathlib.Path(artifact_utils.get_single_uri(input_dict["schema"])).glob("*.pbtxt")
        schema = text_format.Parse(file.read_text(encoding="utf-8"), schema_pb2.Schema())
        blessed = {}
        for split in artifact_utils.decode_split_names(statistics.split_names):
            found = tfdv.find_anomalies(tfdv.read_statistics(statistics, split), schema)
            blessed[split] = int(not (found.anomaly_info or found.HasField("dataset_anomaly_info")))
            folder = pathlib.Path(artifact_utils.get_split_uri([anomalies], split))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ANOMALIES_FILE).write_bytes(found.SerializeToString())
        anomalies.set_json_value_custom_property("blessed", blessed)
