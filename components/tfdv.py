"""TensorFlow Data Validation's inference of schemas and search for anomalies, without TensorFlow and Beam.

`tfdv.infer_schema`, `tfdv.update_schema` and `tfdv.validate_statistics` hand serialised messages to TFDV's library in
C++, but the package imports TensorFlow, Beam and pandas first, for what else it can do: four seconds in every pod, for
milliseconds of work. Here the library is called as they call it; the tests hold both against each other.
"""

import pathlib

from tensorflow_data_validation.pywrap.tensorflow_data_validation_extension import validation
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import types
from tfx.types import artifact_utils

STATISTICS_FILE = "FeatureStats.pb"

_MOST_VALUES = 100
"""Different values of a string feature that is inferred to be categorical; TFDV's own default."""

_KINDS = ("num_stats", "string_stats", "bytes_stats", "struct_stats")


def read_statistics(artifact: types.Artifact, split: str) -> statistics_pb2.DatasetFeatureStatistics:
    """What StatisticsGen wrote of a split; slices, of which Graft asks for none, are not read.

    Raises:
        ValueError: there are statistics of several sets of data.
    """
    path = pathlib.Path(artifact_utils.get_split_uri([artifact], split), STATISTICS_FILE)
    (found,) = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
    return found


def infer_schema(statistics: statistics_pb2.DatasetFeatureStatistics) -> schema_pb2.Schema:
    """As `tfdv.infer_schema`, with shapes."""
    known = statistics_pb2.DatasetFeatureStatistics()
    known.CopyFrom(statistics)
    del known.features[:]
    known.features.extend(one for one in statistics.features if any(one.HasField(kind) for kind in _KINDS))
    return schema_pb2.Schema.FromString(validation.InferSchema(known.SerializeToString(), _MOST_VALUES, True))


def update_schema(schema: schema_pb2.Schema, statistics: statistics_pb2.DatasetFeatureStatistics) -> schema_pb2.Schema:
    """As `tfdv.update_schema`: one that the statistics are no anomaly of."""
    return schema_pb2.Schema.FromString(
        validation.UpdateSchema(schema.SerializeToString(), statistics.SerializeToString(), _MOST_VALUES)
    )


def find_anomalies(
    statistics: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema
) -> anomalies_pb2.Anomalies:
    """As `tfdv.validate_statistics`."""
    nothing = b""  # environment, three other statistics, features needed, settings
    found = validation.ValidateFeatureStatistics(
        statistics.SerializeToString(), schema.SerializeToString(), *[nothing] * 6, False
    )
    return anomalies_pb2.Anomalies.FromString(found)
