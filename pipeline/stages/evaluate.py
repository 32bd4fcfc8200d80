"""evaluate: TFMA's figures of the predictions, over all and by slice."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graft.models.targets import make_target
from graft.models.targets.base import Evaluation
from graft.pipeline.stages import base

if TYPE_CHECKING:
    from tensorflow_model_analysis.proto import config_pb2


class Evaluate(base.Stage):
    """TFX's Evaluator, over predictions that are there already."""

    name = "evaluate"
    shown = ("evaluation",)

    def wire(self, wiring):
        from tfx.components.evaluator.component import Evaluator

        return Evaluator(
            examples=wiring.output("predict", "predictions"),
            example_splits=["test"],
            eval_config=eval_config(make_target(wiring.config.target).evaluation(), wiring.config.data.slices),
        )


def eval_config(evaluation: Evaluation, slices: Sequence[str]) -> "config_pb2.EvalConfig":
    """What TFMA computes of the predictions, over all and by slice."""
    from google.protobuf import wrappers_pb2  # noqa: F401 - which the messages of TFMA 0.52 lack

    # The messages themselves: TFMA is not executed for them, and 0.52 does not have them where 0.47 has.
    from tensorflow_model_analysis.proto import config_pb2

    metrics = [
        config_pb2.MetricConfig(class_name=name, config=json.dumps(settings) if settings else "")
        for name, settings in evaluation.metrics
    ]
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=evaluation.label_key, prediction_key=evaluation.prediction_key)],
        slicing_specs=[config_pb2.SlicingSpec(), *(config_pb2.SlicingSpec(feature_keys=[column]) for column in slices)],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
    )
