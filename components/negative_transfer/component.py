"""negative_transfer: is transferring better than not transferring?"""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.artifacts import Comparison, Features
from graft.components.component import BaseComponent
from graft.components.negative_transfer.executor import Executor, Parameters


class NegativeTransferSpec(ComponentSpec):
    """Inputs, outputs and parameters of `NegativeTransfer`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "features": ChannelParameter(type=Features),
    }
    OUTPUTS = {"comparison": ChannelParameter(type=Comparison)}


class NegativeTransfer(BaseComponent):
    """Trains the references and the transferred model over the same seeds, under the same budget.

    Outputs `comparison` (`Comparison`: comparison.json, see `models.references`).
    """

    SPEC_CLASS = NegativeTransferSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        features: types.BaseChannel,
        parameters: Parameters,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`.
            transform_graph: the `TransformGraph` holding the label vocabulary.
            features: the `Features` of all three splits.
            parameters: the training and the contestants.
        """
        super().__init__(examples=examples, transform_graph=transform_graph, features=features, **parameters.dump())
