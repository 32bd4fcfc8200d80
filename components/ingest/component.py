"""Ingest: what any source holds becomes split, checked tf.Examples."""

from pydantic import BaseModel
from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from graft.components.artifacts import Rejected
from graft.components.ingest import executor
from graft.components.ingest.options import DataOptions


class IngestSpec(component_spec.ComponentSpec):
    """Parameters and outputs of `Ingest`."""

    PARAMETERS = {
        "data": component_spec.ExecutionParameter(type=str),
        "input": component_spec.ExecutionParameter(type=str),
        "target": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict = {}
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "rejected": component_spec.ChannelParameter(type=Rejected),
    }


class Ingest(base_beam_component.BaseBeamComponent):
    """Graft's ExampleGen.

    Reads each content once in a Beam pipeline, has its input check it, splits by content and writes the bytes as
    tf.Examples into three disjoint splits. What cannot be used is listed with its reason.

    Outputs:
      - `examples`: `standard_artifacts.Examples` with the splits train, eval and test; `span` is the newest one read.
      - `rejected`: `Rejected`, with `rejected.jsonl` and `summary.json`.
    """

    SPEC_CLASS = IngestSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, data: DataOptions, input_options: BaseModel, target: BaseModel, fingerprint: str, code: str):
        """Constructs an Ingest component.

        Args:
          data: The data options of the config. The limit and the schema that later stages hold the data against are
            left out, and so is how it is fingerprinted: changing them reads nothing again.
          input_options: What may enter, of `models.inputs`.
          target: How labels are read, of `models.targets`.
          fingerprint: Of the files there are now (`fingerprint.fingerprint`): another one is another cache key.
          code: Version of the code, for the same reason.
        """
        spec = IngestSpec(
            data=data.model_dump_json(by_alias=True, exclude={"max_rejected", "schema_file", "fingerprint"}),
            input=input_options.model_dump_json(),
            target=target.model_dump_json(),
            fingerprint=fingerprint,
            code=code,
            examples=types.Channel(type=standard_artifacts.Examples),
            rejected=types.Channel(type=Rejected),
        )
        super().__init__(spec=spec)
