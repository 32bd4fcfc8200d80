"""serving_check: does the candidate answer over gRPC as it does in process?"""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.component import BaseComponent
from graft.components.serving_check.executor import Executor, Parameters


class ServingCheckSpec(ComponentSpec):
    """Inputs, outputs and parameters of `ServingCheck`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "predictions": ChannelParameter(type=standard_artifacts.Examples),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ServingCheck(BaseComponent):
    """Serves the candidate, sends real test examples over gRPC and compares with the in-process answers.

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
        parameters: Parameters,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; some of split test are sent.
            model: the candidate.
            predictions: the candidate's answers in process.
            model_blessing: blessing of `quality_gate`; a model that is not blessed is refused.
            parameters: the limits.
        """
        super().__init__(
            examples=examples, model=model, predictions=predictions, model_blessing=model_blessing, **parameters.dump()
        )
