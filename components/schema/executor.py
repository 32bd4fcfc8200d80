"""Executor of `schema` where no file is given: a schema inferred from the statistics."""

import pathlib
from typing import Any

from google.protobuf import text_format
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from graft.components import tfdv
from graft.models.errors import GraftError

SCHEMA_FILE = "schema.pbtxt"


class Executor(base_executor.BaseExecutor):
    """Does what TFX's own does, without TensorFlow: it fits the schema to one split after another."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Infers and writes `schema.pbtxt`.

        Args:
            input_dict: `statistics`, one artifact.
            output_dict: `schema`.
            exec_properties: of TFX's SchemaGen; as Graft wires it, no split is left out and shapes are inferred.

        Raises:
            GraftError: there are statistics of no split.
        """
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        schema = None
        for split in artifact_utils.decode_split_names(statistics.split_names):
            found = tfdv.read_statistics(statistics, split)
            schema = tfdv.infer_schema(found) if schema is None else tfdv.update_schema(schema, found)
        if schema is None:
            raise GraftError(f"schema: {statistics.uri} holds statistics of no split")
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["schema"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SCHEMA_FILE).write_text(text_format.MessageToString(schema), encoding="utf-8")
