"""Executor of Ingest."""

import json
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from graft.components.ingest import ingestion, sources
from graft.components.ingest.request import make_request
from graft.components.ingest.splits import SPLITS
from graft.models import inputs, targets


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
          exec_properties: `data`, `input` and `target`, JSON of the options; `fingerprint` and `code` are for the
            cache only.

        Raises:
          GraftError: See `ingestion.ingest`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        request = make_request(
            sources.parse_json(exec_properties["data"]),
            inputs.parse_options(json.loads(exec_properties["input"])),
            targets.parse_options(json.loads(exec_properties["target"])),
        )
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        rejected = artifact_utils.get_single_instance(output_dict["rejected"])
        summary = ingestion.ingest(request, examples.uri, rejected.uri, self._make_beam_pipeline)
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        if summary.span is not None:
            examples.span = summary.span
