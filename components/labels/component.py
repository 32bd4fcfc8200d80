"""labels: which labels are to be looked at again, and which examples are near-duplicates."""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from graft.components.artifacts import Features, LabelReview
from graft.components.component import BaseComponent
from graft.components.labels.executor import Executor, Parameters


class LabelReviewSpec(ComponentSpec):
    """Inputs, outputs and parameters of `LabelReviewer`."""

    PARAMETERS = Parameters.declared()
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "features": ChannelParameter(type=Features),
        "predictions": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"review": ChannelParameter(type=LabelReview)}


class LabelReviewer(BaseComponent):
    """Holds each label against models that have not learned from it.

    Outputs `review` (`LabelReview`: labels.json, see `components.labels.findings`).
    """

    SPEC_CLASS = LabelReviewSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        features: types.BaseChannel,
        predictions: types.BaseChannel,
        parameters: Parameters,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; names and groups of the test split, and what a report shows.
            transform_graph: the `TransformGraph` holding the label vocabulary.
            features: the `Features`, of train and eval at the least.
            predictions: of `predict`, for the vectors of the test split.
            parameters: input and target.
        """
        super().__init__(
            examples=examples,
            transform_graph=transform_graph,
            features=features,
            predictions=predictions,
            **parameters.dump(),
        )
