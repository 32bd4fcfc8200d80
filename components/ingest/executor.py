"""Executor of Ingest."""

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from graft.components.ingest import ingestion
from graft.components.ingest.options import DataOptions
from graft.components.ingest.splits import SPLITS


class Executor(base_beam_executor.BaseBeamExecutor):
    """Runs `ingestion.ingest` in the Beam pipeline that TFX makes, and describes the artifacts."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Ingests.

        Args:
          input_dict: Empty.
          output_dict: `examples` and `rejected`, one artifact each.
          exec_properties: `data`, JSON of `DataOptions`; `fingerprint` and `code` are for the cache only.

        Raises:
          GraftError: See `ingestion.ingest`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        options = DataOptions.model_validate_json(exec_properties["data"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        rejected = artifact_utils.get_single_instance(output_dict["rejected"])
        summary = ingestion.ingest(options, examples.uri, rejected.uri, self._make_beam_pipeline)
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        if summary.span is not None:
            examples.span = summary.span
