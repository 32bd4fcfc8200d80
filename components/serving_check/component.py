"""serving_check: does the candidate answer over gRPC as it does in process?"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from graft.components.serving_check.executor import Executor


class ServingCheckSpec(ComponentSpec):
    """Inputs, outputs and parameters of `ServingCheck`."""

    PARAMETERS = {
        "model_name": ExecutionParameter(type=str),
        "options": ExecutionParameter(type=str),
        "trust": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "predictions": ChannelParameter(type=standard_artifacts.Examples),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ServingCheck(base_component.BaseComponent):
    """Serves the candidate, sends real test images over gRPC and compares with the in-process answers.

    Outputs `blessing` (`InfraBlessing`: gates.json; property blessed = 1 only if every gate passed).
    """

    SPEC_CLASS = ServingCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        predictions: types.BaseChannel,
        model_blessing: types.BaseChannel,
        model_name: str,
        options: str,
        trust: int,
        code: str,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; images of split test are sent.
            model: the candidate.
            predictions: the candidate's answers in process.
            model_blessing: blessing of `quality_gate`; a model that is not blessed is refused.
            model_name: name it is served under.
            options: JSON: examples (count), tolerance, latency_ms (ceiling or null).
            trust: 1 if the model may do more than compute, as its backbone may.
            code: version of the code, so that a change of it is no cache hit.
        """
        super().__init__(
            ServingCheckSpec(
                examples=examples,
                model=model,
                predictions=predictions,
                model_blessing=model_blessing,
                model_name=model_name,
                options=options,
                trust=trust,
                code=code,
                blessing=types.Channel(type=standard_artifacts.InfraBlessing),
            )
        )
