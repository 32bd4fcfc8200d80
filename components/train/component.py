"""train: TFX's Trainer, with the cached feature vectors as one more input."""

from tfx import types
from tfx.dsl.components.base import executor_spec
from tfx.proto import trainer_pb2
from tfx.types.component_spec import ChannelParameter
from tfx.types.standard_component_specs import TrainerSpec

from graft.components.artifacts import Features
from graft.components.component import BaseComponent
from graft.components.train.executor import Executor, Parameters


class TrainSpec(TrainerSpec):
    """TFX's `TrainerSpec` and Graft's feature vectors."""

    PARAMETERS = {**TrainerSpec.PARAMETERS, **Parameters.declared()}
    INPUTS = {**TrainerSpec.INPUTS, "features": ChannelParameter(type=Features)}


class Trainer(BaseComponent):
    """Trains the new head, and the backbone where the transfer method says so, through `models.trainer.run_fn`.

    Outputs `model` (`Model`, the exported SavedModel) and `model_run` (`ModelRun`: TensorBoard logs, history.json).
    """

    SPEC_CLASS = TrainSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        features: types.BaseChannel,
        parameters: Parameters,
    ):
        """Wires the component.

        Args:
            examples: the `Examples` of `ingest`; splits train and eval are read.
            transform_graph: the `TransformGraph` holding the label vocabulary.
            schema: the `Schema` of the examples.
            features: the `Features` of splits train and eval.
            parameters: of the training.
        """
        super().__init__(
            examples=examples,
            transform_graph=transform_graph,
            schema=schema,
            features=features,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
            run_fn="graft.models.trainer.run_fn",
            **parameters.dump(),
        )
