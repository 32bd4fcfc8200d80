"""evaluate: TFMA's figures of the predictions, over all and by slice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graft.pipeline.stages import base

if TYPE_CHECKING:
    import tensorflow_model_analysis as tfma


class Evaluate(base.Stage):
    """TFX's Evaluator, over predictions that are there already."""

    name = "evaluate"

    def wire(self, wiring):
        from tfx.components import Evaluator

        return Evaluator(
            examples=wiring.output("predict", "predictions"),
            example_splits=["test"],
            eval_config=eval_config(wiring.config.data.slices),
        )


def eval_config(slices: Sequence[str]) -> "tfma.EvalConfig":
    """What TFMA computes of the predictions: accuracy and counts, over all and by slice."""
    import tensorflow_model_analysis as tfma

    from graft.components.predict.predictions import LABEL, PREDICTION

    # ExactMatch, not SparseCategoricalAccuracy: the same figure, without the seconds in which tf_keras traces it.
    metrics = [
        tfma.MetricConfig(class_name="ExampleCount"),
        tfma.MetricConfig(class_name="ExactMatch", config='{"name": "accuracy"}'),
    ]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(label_key=LABEL, prediction_key=PREDICTION)],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[column]) for column in slices)],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )
