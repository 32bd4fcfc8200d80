"""push: a blessed model becomes the served version of the model store."""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.component import BaseComponent
from graft.components.push.executor import Executor, Parameters


class PushSpec(ComponentSpec):
    """Inputs, outputs and parameters of `Push`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "predictions": ChannelParameter(type=standard_artifacts.Examples),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class Push(BaseComponent):
    """Pushes a model that both gates blessed, atomically (`serving.store`).

    Outputs `pushed_model` (`PushedModel`; custom properties pushed_version, pushed_destination and
    served_version, which is another one where the pointer is pinned).
    """

    SPEC_CLASS = PushSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        predictions: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        parameters: Parameters,
    ):
        """Wires the component.

        Args:
            model: the candidate.
            predictions: of `predict`, with the reference that is stored beside the model.
            model_blessing: blessing of `quality_gate`.
            infra_blessing: blessing of `serving_check`.
            parameters: where to, and what is noted there.
        """
        super().__init__(
            model=model,
            predictions=predictions,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            **parameters.dump(),
        )
