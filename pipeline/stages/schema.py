"""schema: the curated schema, or one inferred from the statistics."""

from graft.pipeline.stages import base


class Schema(base.Stage):
    """TFX's SchemaGen with an executor of our own, or its ImportSchemaGen where the config names a file."""

    name = "schema"
    shown = ("schema",)

    def wire(self, wiring):
        from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen

        from graft.components.schema.component import SchemaGen

        if wiring.keys.schema_file:
            return ImportSchemaGen(schema_file=wiring.keys.schema_file)
        return SchemaGen(statistics=wiring.output("statistics", "statistics"))
