"""quality_gate: may the candidate replace what is served?"""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from graft.components.artifacts import Comparison, Quality
from graft.components.quality_gate.executor import Executor


class QualityGateSpec(ComponentSpec):
    """Inputs, outputs and parameters of `QualityGate`."""

    PARAMETERS = {
        "gates": ExecutionParameter(type=str),
        "model_name": ExecutionParameter(type=str),
        "store": ExecutionParameter(type=str),
        "run_key": ExecutionParameter(type=str),
        "served": ExecutionParameter(type=str),
        "trust": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
    }
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


class QualityGate(base_component.BaseComponent):
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
        gates: str,
        model_name: str,
        store: str,
        run_key: str,
        served: str,
        trust: int,
        code: str,
        comparison: types.BaseChannel | None = None,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; the baseline answers split test.
            model: the candidate.
            predictions: its answers on that split.
            evaluation: TFMA's result of the same.
            gates: JSON of the limits (`pipeline.config.GateOptions`).
            model_name: name in the store.
            store: folder of the model store, whose served version is the baseline.
            run_key: identity of what goes into the candidate, see `components.baseline`.
            served: the baseline as the caller saw it, so that another one is no cache hit.
            trust: 1 if the served model, too, may do more than compute.
            code: version of the code, so that a change of it is no cache hit.
            comparison: result of `negative_transfer`; None where that gate is off.
        """
        super().__init__(
            QualityGateSpec(
                examples=examples,
                model=model,
                predictions=predictions,
                evaluation=evaluation,
                comparison=comparison,
                gates=gates,
                model_name=model_name,
                store=store,
                run_key=run_key,
                served=served,
                trust=trust,
                code=code,
                blessing=types.Channel(type=standard_artifacts.ModelBlessing),
                quality=types.Channel(type=Quality),
            )
        )
