"""DataGate: nothing is trained on data that the schema or the share of rejected examples speaks against."""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import component_spec, standard_artifacts

from graft.components.artifacts import DataBlessing, Rejected
from graft.components.component import BaseComponent
from graft.components.data_gate import executor


class DataGateSpec(component_spec.ComponentSpec):
    """Inputs, parameters and output of `DataGate`."""

    PARAMETERS = executor.Parameters.declared()
    INPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "rejected": component_spec.ChannelParameter(type=Rejected),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=DataBlessing)}


class DataGate(BaseComponent):
    """Stops the run on bad data.

    TFX's ExampleValidator writes anomalies and succeeds; nothing depends on what it found. This component does: it
    closes when a split has an anomaly against the schema, or when too many examples were rejected.

    Outputs:
      - `blessing`: `DataBlessing`, with `gates.json`; stages that must not run on bad data take it as an input.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, anomalies: types.BaseChannel, rejected: types.BaseChannel, parameters: executor.Parameters):
        """Constructs a DataGate component.

        Args:
          anomalies: What ExampleValidator found, for each split.
          rejected: What Ingest did not use.
          parameters: The limits.
        """
        super().__init__(anomalies=anomalies, rejected=rejected, **parameters.dump())
