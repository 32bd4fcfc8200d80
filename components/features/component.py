"""features: every example goes through the frozen backbone once; the vectors are kept."""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.artifacts import Features
from graft.components.component import BaseComponent
from graft.components.features.executor import Executor, Parameters


class FeaturesSpec(ComponentSpec):
    """Inputs, outputs and parameters of `FeatureExtractor`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {"features": ChannelParameter(type=Features)}


class FeatureExtractor(BaseComponent):
    """Computes the feature vectors of a frozen backbone, one pass over each split.

    Outputs `features` (`Features`): see `components.features.executor`.
    """

    SPEC_CLASS = FeaturesSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: types.BaseChannel, transform_graph: types.BaseChannel, parameters: Parameters):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`.
            transform_graph: the `TransformGraph` holding the label vocabulary.
            parameters: the network and the splits.
        """
        super().__init__(examples=examples, transform_graph=transform_graph, **parameters.dump())
