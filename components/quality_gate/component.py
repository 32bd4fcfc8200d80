"""quality_gate: may the candidate replace what is served?"""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.artifacts import Comparison, Quality
from graft.components.component import BaseComponent
from graft.components.quality_gate.executor import Executor, Parameters


class QualityGateSpec(ComponentSpec):
    """Inputs, outputs and parameters of `QualityGate`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "predictions": ChannelParameter(type=standard_artifacts.Examples),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "comparison": ChannelParameter(type=Comparison, optional=True),
    }
    OUTPUTS = {
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "quality": ChannelParameter(type=Quality),
    }


class QualityGate(BaseComponent):
    """Judges the candidate on the test split.

    Outputs `quality` (`Quality`: figures.json, gates.json) and `blessing` (`ModelBlessing`, property
    blessed = 1 only if every gate passed). A closed gate is a result, not a crash, so that the report can show it;
    everything downstream refuses a model that is not blessed.
    """

    SPEC_CLASS = QualityGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        predictions: types.BaseChannel,
        evaluation: types.BaseChannel,
        parameters: Parameters,
        comparison: types.BaseChannel | None = None,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; the baseline answers split test.
            model: the candidate.
            predictions: its answers on that split.
            evaluation: TFMA's result of the same.
            parameters: the limits, and where the served model lies.
            comparison: result of `negative_transfer`; None where that gate is off.
        """
        super().__init__(
            examples=examples,
            model=model,
            predictions=predictions,
            evaluation=evaluation,
            comparison=comparison,
            **parameters.dump(),
        )
