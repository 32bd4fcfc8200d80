"""predict: the candidate's answers on the test split, which evaluation, gates and report share."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from graft.components.predict.executor import Executor


class PredictSpec(ComponentSpec):
    """Inputs, outputs and parameters of `BulkPredictor`."""

    PARAMETERS = {
        "slices": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"predictions": ChannelParameter(type=standard_artifacts.Examples)}


class BulkPredictor(base_component.BaseComponent):
    """Runs `serving_default` over the test split, each example once.

    Outputs `predictions` (`Examples` without inputs, for TFMA; beside them the same as arrays, see
    `components.predict.predictions`).
    """

    SPEC_CLASS = PredictSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, model: types.BaseChannel, slices: str, code: str):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; split test is read.
            model: the candidate.
            slices: JSON list of the columns to keep for slicing.
            code: version of the code, so that a change of it is no cache hit.
        """
        super().__init__(
            PredictSpec(
                examples=examples,
                model=model,
                slices=slices,
                code=code,
                predictions=types.Channel(type=standard_artifacts.Examples),
            )
        )
