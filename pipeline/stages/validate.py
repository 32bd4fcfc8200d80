"""validate: anomalies of the statistics against the schema."""

from graft.pipeline.stages import base


class Validate(base.Stage):
    """TFX's ExampleValidator; what it finds is judged by the data gate."""

    name = "validate"

    def wire(self, wiring):
        from tfx.components import ExampleValidator

        return ExampleValidator(
            statistics=wiring.output("statistics", "statistics"), schema=wiring.output("schema", "schema")
        )
