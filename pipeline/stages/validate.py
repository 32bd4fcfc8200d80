"""validate: anomalies of the statistics against the schema."""

import pathlib
from collections.abc import Sequence

from graft.models.page import Block, Column, Table, Text
from graft.pipeline.stages import base


class Validate(base.Stage):
    """TFX's ExampleValidator with an executor of our own; what it finds is judged by the data gate."""

    name = "validate"
    shown = ("anomalies",)

    def wire(self, wiring):
        from graft.components.validate.component import ExampleValidator

        return ExampleValidator(
            statistics=wiring.output("statistics", "statistics"), schema=wiring.output("schema", "schema")
        )

    def parts(self) -> Sequence[base.Part]:
        return [base.Part("anomalies", "Anomalies against the schema", _anomalies)]


def _anomalies(ran: base.Ran) -> Sequence[Block]:
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    rows = []
    for file in sorted(pathlib.Path(ran.uri("validate", "anomalies")).glob("Split-*/SchemaDiff.pb")):
        split, found = file.parent.name.removeprefix("Split-"), anomalies_pb2.Anomalies.FromString(file.read_bytes())
        rows += [
            (split, feature, info.short_description, info.description)
            for feature, info in sorted(found.anomaly_info.items())
        ]
        if found.HasField("dataset_anomaly_info"):
            info = found.dataset_anomaly_info
            rows.append((split, "(data set)", info.short_description, info.description))
        if found.data_missing:
            rows.append((split, "(data set)", "No examples", "The split holds no examples."))
    if not rows:
        return [Text("None.")]
    return [Table([Column(title, "long") for title in ("split", "feature", "kind", "description")], rows)]
