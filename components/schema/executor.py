"""Executor of `schema` where no file is given: a schema inferred from the statistics."""

from typing import Any

from google.protobuf import text_format

from graft.components import tfdv
from graft.components.executor import Artifacts, BaseExecutor
from graft.models.errors import GraftError

SCHEMA_FILE = "schema.pbtxt"


class Executor(BaseExecutor):
    """Does what TFX's own does, without TensorFlow: it fits the schema to one split after another."""

    def run(self, inputs: Artifacts, outputs: Artifacts, given: dict[str, Any]) -> None:
        """Infers and writes `schema.pbtxt`.

        Args:
            inputs: `statistics`, one artifact.
            outputs: `schema`.
            given: of TFX's SchemaGen; as Graft wires it, no split is left out and shapes are inferred.

        Raises:
            GraftError: there are statistics of no split.
        """
        statistics = inputs.artifact("statistics")
        schema = None
        for split in inputs.splits("statistics"):
            found = tfdv.read_statistics(statistics, split)
            schema = tfdv.infer_schema(found) if schema is None else tfdv.update_schema(schema, found)
        if schema is None:
            raise GraftError(f"schema: {statistics.uri} holds statistics of no split")
        folder = outputs.path("schema")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SCHEMA_FILE).write_text(text_format.MessageToString(schema), encoding="utf-8")
