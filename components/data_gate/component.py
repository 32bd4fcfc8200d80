"""DataGate: nothing is trained on data that the schema or the share of rejected images speaks against."""

import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from graft.components.artifacts import DataBlessing, Rejected
from graft.components.data_gate import executor

IDENTIFIERS = ("file", "sha256")


class DataGateSpec(component_spec.ComponentSpec):
    """Inputs, parameters and output of `DataGate`."""

    PARAMETERS = {"limits": component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "rejected": component_spec.ChannelParameter(type=Rejected),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=DataBlessing)}


class DataGate(base_component.BaseComponent):
    """Stops the run on bad data.

    TFX's ExampleValidator writes anomalies and succeeds; nothing depends on what it found. This component does: it
    closes when a split has an anomaly against the schema, or when too many images were rejected.

    Outputs:
      - `blessing`: `DataBlessing`, with `gates.json`; stages that must not run on bad data take it as an input.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        anomalies: types.BaseChannel,
        rejected: types.BaseChannel,
        *,
        max_rejected: float,
        allow_anomalies: tuple[str, ...] = IDENTIFIERS,
    ):
        """Constructs a DataGate component.

        Args:
          anomalies: What ExampleValidator found, for each split.
          rejected: What Ingest did not use.
          max_rejected: Largest allowed fraction of rejected images.
          allow_anomalies: Features whose anomalies are reported but do not close the gate. By default those that differ
            from image to image: on few images, SchemaGen infers a closed list of values for them.
        """
        limits = {"max_rejected": max_rejected, "allow_anomalies": list(allow_anomalies)}
        spec = DataGateSpec(
            limits=json.dumps(limits),
            anomalies=anomalies,
            rejected=rejected,
            blessing=types.Channel(type=DataBlessing),
        )
        super().__init__(spec=spec)
