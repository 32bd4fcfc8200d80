"""Ingest: what any source holds becomes split, checked tf.Examples."""

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from graft.components.artifacts import Rejected
from graft.components.component import BaseComponent
from graft.components.ingest import executor


class IngestSpec(component_spec.ComponentSpec):
    """Parameters and outputs of `Ingest`."""

    PARAMETERS = executor.Parameters.declared()
    INPUTS: dict = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "rejected": component_spec.ChannelParameter(type=Rejected),
    }


class Ingest(BaseComponent, base_beam_component.BaseBeamComponent):
    """Graft's ExampleGen.

    Reads each content once in a Beam pipeline, has its input check it, splits by content and writes the bytes as
    tf.Examples into three disjoint splits. What cannot be used is listed with its reason.

    Outputs:
      - `examples`: `standard_artifacts.Examples` with the splits train, eval and test; `span` is the newest one read.
      - `rejected`: `Rejected`, with `rejected.jsonl` and `summary.json`.
    """

    SPEC_CLASS = IngestSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, parameters: executor.Parameters):
        """Constructs an Ingest component.

        Args:
          parameters: What to read, and how.
        """
        super().__init__(**parameters.dump())
