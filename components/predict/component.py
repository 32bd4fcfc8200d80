"""predict: the candidate's answers on the test split, which evaluation, gates and report share."""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.component import BaseComponent
from graft.components.predict.executor import Executor, Parameters


class PredictSpec(ComponentSpec):
    """Inputs, outputs and parameters of `BulkPredictor`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {"predictions": ChannelParameter(type=standard_artifacts.Examples)}


class BulkPredictor(BaseComponent):
    """Runs `serving_default` over the test split, each example once.

    Outputs `predictions` (`Examples` without inputs, for TFMA; beside them the same as arrays, see
    `components.predict.predictions`, and what the served model is watched against, see `models.signals.reference`).
    """

    SPEC_CLASS = PredictSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, model: types.BaseChannel, parameters: Parameters):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; split test is read, and of train what an input's watcher learns from.
            model: the candidate.
            parameters: what is kept beside the answers.
        """
        super().__init__(examples=examples, model=model, **parameters.dump())
