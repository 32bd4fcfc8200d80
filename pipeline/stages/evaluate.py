"""evaluate: TFMA's figures of the predictions, over all and by slice."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graft.models.targets import make_target
from graft.models.targets.base import Evaluation
from graft.pipeline.stages import base

if TYPE_CHECKING:
    import tensorflow_model_analysis as tfma


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


def eval_config(evaluation: Evaluation, slices: Sequence[str]) -> "tfma.EvalConfig":
    """What TFMA computes of the predictions, over all and by slice."""
    import tensorflow_model_analysis as tfma

    metrics = [
        tfma.MetricConfig(class_name=name, config=json.dumps(settings) if settings else "")
        for name, settings in evaluation.metrics
    ]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key=evaluation.label_key, prediction_key=evaluation.prediction_key)],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[column]) for column in slices)],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )
