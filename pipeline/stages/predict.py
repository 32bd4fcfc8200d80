"""predict: the candidate's answers on the test split, which evaluation, gates and report share."""

from graft.pipeline.result import RunResult
from graft.pipeline.stages import base


class Predict(base.Stage):
    """Each test example is answered once."""

    name = "predict"
    needs = "the sizes in section input"
    shown = ("predictions",)
    accelerated = True

    def wire(self, wiring):
        from graft.components.predict.component import BulkPredictor
        from graft.components.predict.executor import Parameters

        return BulkPredictor(
            examples=wiring.output("ingest", "examples"),
            model=wiring.output("train", "model"),
            parameters=Parameters(input=wiring.entering, slices=wiring.config.data.slices, code=wiring.keys.code),
        )

    def line(self, result: RunResult, outputs: base.Outputs) -> str:
        from graft.components.predict import predictions

        kept = predictions.load(outputs["predictions"].uri)
        return f"{len(kept.answers)} examples, {kept.examples_per_second:.0f} examples/s"
